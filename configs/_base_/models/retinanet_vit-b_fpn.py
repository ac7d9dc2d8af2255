_base_ = ['mmdet::_base_/models/retinanet_r50_fpn.py', '../backbones/vit-b.py']
model = dict(
    data_preprocessor=dict(mean=_base_.mean, std=_base_.std),
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=_base_.backbone),
    # From one scale to four: strides 8, 16, 32 and 64.
    neck=[
        dict(type='mmseg.Feature2Pyramid', embed_dim=768, rescales=[2, 1, 0.5, 0.25]),
        dict(type='FPN', in_channels=_base_.channels, out_channels=256, add_extra_convs='on_input', num_outs=5),
    ],
)
