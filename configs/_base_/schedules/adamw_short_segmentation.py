# 600 iterations: a short training for a CPU. The rate is that of full fine-tuning; neck and head, which start from
# nothing, have ten times as much, and a tuning method has its own factor, lr_mult.
_base_ = './adamw_20k.py'
iterations = 600
train_cfg = dict(max_iters=iterations, val_interval=iterations)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=iterations // 10),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=iterations // 10, end=iterations),
]
optim_wrapper = dict(
    optimizer=dict(lr=3e-4),
    paramwise_cfg=dict(custom_keys=dict(neck=dict(lr_mult=10.0), decode_head=dict(lr_mult=10.0))),
)
default_hooks = dict(logger=dict(interval=20), checkpoint=dict(interval=iterations // 2))
