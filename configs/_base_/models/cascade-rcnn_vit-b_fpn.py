_base_ = ['mmdet::_base_/models/cascade-rcnn_r50_fpn.py', '../backbones/vit-b.py']
model = dict(
    data_preprocessor=dict(mean=_base_.mean, std=_base_.std),
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=_base_.backbone),
    # From one scale to four: strides 4, 8, 16 and 32. GroupNorm works for any batch and on any device.
    neck=[
        dict(
            type='mmseg.Feature2Pyramid',
            embed_dim=768,
            rescales=[4, 2, 1, 0.5],
            norm_cfg=dict(type='GN', num_groups=32, requires_grad=True),
        ),
        dict(type='FPN', in_channels=_base_.channels, out_channels=256, num_outs=5),
    ],
)
