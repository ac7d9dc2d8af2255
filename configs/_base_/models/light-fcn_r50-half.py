_base_ = ['./light-fcn.py', '../backbones/r50-half.py']
model = dict(
    data_preprocessor=_base_.normalisation,
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=dict(_base_.backbone, out_indices=(3,))),
    decode_head=dict(in_channels=_base_.channels[-1]),
)
