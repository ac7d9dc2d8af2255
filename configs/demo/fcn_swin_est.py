_base_ = ['./_base_/one_map.py', './_base_/one_cycle.py']
model = dict(
    backbone=dict(
        backbone=dict(init_cfg=_base_.pretrained),
        # All blocks are read: those of strides 4 and 8 see what the head's map has lost.
        tuning=dict(type='EST', reduction=4, taps='block', lr_mult=0.5),
    )
)
