_base_ = ['mmdet::_base_/models/retinanet_r50_fpn.py', '../backbones/swin-b_mmdet.py']
model = dict(
    # Only the stages that the neck uses, so that nothing trains without a gradient.
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=dict(_base_.backbone, out_indices=(1, 2, 3))),
    neck=dict(in_channels=_base_.channels[1:], start_level=0),
)
