# A RetinaNet light enough for a CPU: an FPN of 64 channels, two convolutions per head, levels of strides 8 to 64,
# anchors from 20 pixels on.
_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'
norm = dict(type='GN', num_groups=8, requires_grad=True)
fpn = dict(type='FPN', out_channels=64, start_level=0, num_outs=4, norm_cfg=norm)
model = dict(
    backbone=dict(_delete_=True, type='TunedBackbone'),
    neck=dict(_delete_=True, **fpn, add_extra_convs='on_output'),
    bbox_head=dict(
        in_channels=64,
        feat_channels=64,
        stacked_convs=2,
        norm_cfg=norm,
        anchor_generator=dict(octave_base_scale=2.5, scales_per_octave=2, strides=[8, 16, 32, 64]),
    ),
)
# What a backbone whose maps have one scale takes instead: strides 8, 16, 32 and 64.
plain = dict(neck=[dict(type='mmseg.Feature2Pyramid', rescales=[2, 1, 0.5, 0.25]), fpn])
