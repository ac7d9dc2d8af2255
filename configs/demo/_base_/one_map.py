# One 3×3 convolution and a classifier on the map of stride 16 alone, of the demo's Swin.
_base_ = './segmentation.py'
model = dict(
    backbone=dict(backbone=dict(out_indices=(2,))),
    neck=None,
    decode_head=dict(
        _delete_=True,
        type='FCNHead',
        in_channels=_base_.channels[2],
        in_index=0,
        channels=48,
        num_convs=1,
        concat_input=False,
        num_classes=len(_base_.classes),
        norm_cfg=_base_.norm,
        dropout_ratio=0.0,
        loss_decode=dict(type='CrossEntropyLoss'),
    ),
)
