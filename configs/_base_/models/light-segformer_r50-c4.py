_base_ = ['./light-segformer.py', '../backbones/r50-c4.py']
model = dict(
    data_preprocessor=_base_.normalisation,
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=dict(_base_.backbone, out_indices=(1, 2))),
    decode_head=dict(in_channels=_base_.channels[1:], in_index=[0, 1]),
)
