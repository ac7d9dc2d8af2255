# Mask R-CNN as mmdet ships it, on a plain vision transformer, which gets a pyramid in front of the neck.
_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'
backbone = 'vit-b'
tuning = 'est'
model = dict(roi_head=dict(bbox_head=dict(num_classes=3), mask_head=dict(num_classes=3)))
