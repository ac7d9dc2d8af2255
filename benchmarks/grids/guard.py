# Small models whose live peaks a test compares with the records in benchmarks/guard: memory must not rise unseen.
setting = dict(sizes=[(96, 96)], batch_sizes=[1])
memory = [
    dict(setting, configs=['configs/demo/fpn_swin_est.py']),
    dict(setting, configs=['configs/demo/retinanet_swin_est.py'], tunings=['full', 'frozen', 'est']),
]
