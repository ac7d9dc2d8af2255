_base_ = ['./light-fcn.py', '../backbones/efficientnet-b0.py']
model = dict(
    data_preprocessor=_base_.normalisation,
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=dict(_base_.backbone, out_indices=(5,))),
    decode_head=dict(in_channels=_base_.channels[-1]),
)
