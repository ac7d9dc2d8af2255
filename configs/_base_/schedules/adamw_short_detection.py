# Two epochs: a short training for a CPU. What a tuning method trains has its own factor, lr_mult, on this rate.
_base_ = './adamw_12e.py'
epochs = 2
train_cfg = dict(max_epochs=epochs, val_interval=epochs)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=40),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=True, begin=0, end=epochs, convert_to_iter_based=True)]
optim_wrapper = dict(optimizer=dict(lr=1e-3), clip_grad=dict(max_norm=5.0))
default_hooks = dict(logger=dict(interval=20))
