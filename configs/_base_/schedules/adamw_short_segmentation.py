# 300 iterations: a short training for a CPU. What a tuning method trains has its own factor, lr_mult, on this rate.
_base_ = './adamw_20k.py'
iterations = 300
train_cfg = dict(max_iters=iterations, val_interval=iterations)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=iterations // 10),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=iterations // 10, end=iterations)]
optim_wrapper = dict(optimizer=dict(lr=3e-3))
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=iterations // 3))
