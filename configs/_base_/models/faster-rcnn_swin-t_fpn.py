_base_ = ['mmdet::_base_/models/faster-rcnn_r50_fpn.py', '../backbones/swin-t_mmdet.py']
model = dict(
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=_base_.backbone), neck=dict(in_channels=_base_.channels)
)
