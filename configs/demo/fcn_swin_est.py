_base_ = ['./_base_/one_map.py', './_base_/one_cycle.py']
model = dict(
    backbone=dict(
        backbone=dict(init_cfg=_base_.pretrained),
        # All blocks are read: without those of strides 4 and 8 it gains little.
        tuning=dict(type='EST', reduction=4, taps='block', lr_mult=0.5),
    )
)
