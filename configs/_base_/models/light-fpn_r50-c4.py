_base_ = ['./light-fpn.py', '../backbones/r50-c4.py']
model = dict(
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=dict(_base_.backbone, out_indices=(1, 2))),
    neck=dict(_delete_=True, **_base_.fpn, in_channels=_base_.channels[1:], num_outs=2),
    decode_head=dict(in_channels=[64] * 2, in_index=[0, 1], feature_strides=[8, 16]))
