# One epoch: a short training for a CPU. The rate is that of full fine-tuning; neck and head, which start from nothing,
# have five times as much, and a tuning method has its own factor, lr_mult.
_base_ = './adamw_12e.py'
train_cfg = dict(max_epochs=1, val_interval=1)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=25),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=0, end=1, convert_to_iter_based=True),
]
optim_wrapper = dict(
    optimizer=dict(lr=2e-4),
    clip_grad=dict(max_norm=5.0),
    paramwise_cfg=dict(custom_keys=dict(neck=dict(lr_mult=5.0), bbox_head=dict(lr_mult=5.0))),
)
default_hooks = dict(logger=dict(interval=20))
