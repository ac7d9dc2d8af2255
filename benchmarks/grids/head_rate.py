# Whether neck and head want a higher rate than the schedule gives them. In the accuracy grid a frozen backbone sweeps
# this rate, for it has no other; all other methods sweep their own and keep it. Trials of the segmentors, as in
# trials.py.
_base_ = './trials.py'
heads = [f'optim_wrapper.paramwise_cfg.custom_keys.{part}.lr_mult' for part in ('neck', 'decode_head')]
# The schedule says 10.
rates = {'': {}, 'with head rate 30': dict.fromkeys(heads, 30.0)}
trial = [
    dict(
        _base_.schedule,
        **views,
        configs=[config],
        tunings=['frozen', 'est'],
        variant=name,
        options=options,
        seeds=[0, 1],
    )
    for config, views in _base_.tasks.items()
    if 'segmentation' in config
    for name, options in rates.items()
]
