# Small models whose live peaks a test compares with the records in benchmarks/guard: memory must not rise unseen.
memory = [dict(configs=['configs/demo/retinanet_swin_est.py', 'configs/demo/fpn_swin_est.py'], sizes=[(96, 96)], batch_sizes=[1])]
