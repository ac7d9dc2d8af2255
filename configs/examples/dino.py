# DINO as mmdet ships it, on Swin-T: the commands of mmest put this backbone into the model, and its channels into the
# neck.
_base_ = 'mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py'
backbone = 'swin-t'
tuning = 'est'
model = dict(bbox_head=dict(num_classes=3))
