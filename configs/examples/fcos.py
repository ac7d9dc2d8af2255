# FCOS as mmdet ships it; EST learns beside its ResNet. Data, schedule and classes are set here, as in any config of
# mmdet. The commands of mmest wrap model.backbone in a TunedBackbone; "tuning" may also be a dict(type='EST', ...).
_base_ = 'mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco.py'
tuning = 'est'
model = dict(bbox_head=dict(num_classes=3))
