# What single decisions save, on one model: the figures behind docs/memory.md.
config = ['configs/detection/custom/faster-rcnn_swin-t_est.py']
setting = dict(configs=config, sizes=[(512, 512)], batch_sizes=[2])
sgd = {
    'optim_wrapper.optimizer._delete_': True,
    'optim_wrapper.optimizer.type': 'SGD',
    'optim_wrapper.optimizer.lr': 0.01,
    'optim_wrapper.optimizer.momentum': 0.9,
    'optim_wrapper.optimizer.weight_decay': 1e-4,
}
memory = [
    dict(configs=config, sizes=[(512, 512), (384, 384)], batch_sizes=[2], tunings=['full', 'frozen', 'partial', 'est']),
    dict(configs=config, sizes=[(512, 512)], batch_sizes=[1], tunings=['full', 'frozen', 'partial', 'est']),
    dict(setting, tunings=['full'], variant='recomputed blocks', options={'model.backbone.backbone.with_cp': True}),
    dict(setting, tunings=['full', 'est'], variant='SGD', options=sgd),
    dict(setting, tunings=['est'], variant='recomputed', options={'model.backbone.tuning.recompute': True}),
    dict(
        setting,
        tunings=['est'],
        variant='taps of every block',
        options={'model.backbone.tuning.taps': 'block', 'model.backbone.tuning.reduction': 5},
    ),
    dict(setting, tunings=['est'], variant='one tap per stage', options={'model.backbone.tuning.taps': 'stage'}),
    dict(setting, tunings=['est'], variant='reduction 10', options={'model.backbone.tuning.reduction': 10}),
]
