# DETR as mmdet ships it: a transformer on the last map of the backbone.
_base_ = 'mmdet::detr/detr_r50_8xb2-150e_coco.py'
tuning = 'est'
model = dict(bbox_head=dict(num_classes=3))
