# Whether neck and head want a higher rate than the schedule gives them. In the accuracy grid a frozen backbone sweeps
# this rate, for it has no other; all other methods sweep their own and keep it. Trials, scored on held-out training
# images.
tasks = {
    'configs/segmentation/dubai/segformer_deit-t_est.py': dict(views=8),
    'configs/segmentation/epfl_road/segformer_deit-t_est.py': dict(views=24),
}
heads = [f'optim_wrapper.paramwise_cfg.custom_keys.{part}.lr_mult' for part in ('neck', 'decode_head')]
# The schedule says 10.
rates = {'': {}, 'with head rate 30': dict.fromkeys(heads, 30.0)}
about = dict(steps=600, batch_size=8, label_stride=2, factor_of='method', seeds=[0, 1])
trial = [
    dict(about, **views, configs=[config], tunings=['frozen', 'est'], variant=name, options=options)
    for config, views in tasks.items()
    for name, options in rates.items()
]
