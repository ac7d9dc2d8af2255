# A short schedule: the rate rises over the first tenth and falls to nothing.
iterations = 360
train_cfg = dict(type='IterBasedTrainLoop', max_iters=iterations, val_interval=iterations)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=iterations // 10),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=iterations // 10, end=iterations),
]
default_hooks = dict(
    logger=dict(type='LoggerHook', interval=20, log_metric_by_epoch=False),
    checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=iterations, max_keep_ckpts=1, save_optimizer=False),
)
log_processor = dict(by_epoch=False)
