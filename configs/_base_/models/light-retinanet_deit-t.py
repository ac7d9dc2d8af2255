_base_ = ['./light-retinanet.py', '../backbones/deit-t.py']
model = dict(
    data_preprocessor=_base_.normalisation,
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=_base_.backbone),
    # From one scale to four: strides 8, 16, 32 and 64.
    neck=[
        dict(type='mmseg.Feature2Pyramid', embed_dim=192, rescales=[2, 1, 0.5, 0.25]),
        dict(_base_.fpn, in_channels=_base_.channels),
    ],
)
