_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'
# The backbone hands over strides 8, 16 and 32 alone, all of which the neck uses, so that nothing trains without a
# gradient.
model = dict(backbone=dict(_delete_=True, type='TunedBackbone'), neck=dict(start_level=0))
# What a backbone whose maps have one scale takes instead: strides 8, 16, 32 and 64.
plain = dict(
    neck=[
        dict(type='mmseg.Feature2Pyramid', rescales=[2, 1, 0.5, 0.25]),
        dict(type='FPN', out_channels=256, add_extra_convs='on_input', num_outs=5),
    ]
)
