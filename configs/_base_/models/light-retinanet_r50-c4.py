_base_ = ['./light-retinanet.py', '../backbones/r50-c4.py']
model = dict(
    data_preprocessor=_base_.normalisation,
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=dict(_base_.backbone, out_indices=(1, 2))),
    neck=dict(_delete_=True, **_base_.fpn, in_channels=_base_.channels[1:], add_extra_convs='on_output'),
)
