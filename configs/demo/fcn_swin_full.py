_base_ = ['./_base_/one_map.py', './_base_/one_cycle.py']
model = dict(backbone=dict(backbone=dict(init_cfg=_base_.pretrained), tuning=dict(type='Full', lr_mult=0.125)))
