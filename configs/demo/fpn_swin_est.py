_base_ = ['./_base_/segmentation.py', './_base_/one_cycle.py']
model = dict(
    backbone=dict(backbone=dict(init_cfg=_base_.pretrained), tuning=dict(type='EST', reduction=4, lr_mult=0.5))
)
