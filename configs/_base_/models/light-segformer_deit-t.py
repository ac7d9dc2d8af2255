_base_ = ['./light-segformer.py', '../backbones/deit-t.py']
model = dict(
    data_preprocessor=_base_.normalisation,
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=_base_.backbone),
    decode_head=dict(in_channels=_base_.channels, in_index=[0, 1, 2, 3]),
)
