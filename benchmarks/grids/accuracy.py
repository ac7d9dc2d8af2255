# Short trainings on real data, sized for a CPU. Rates are swept on a fifth of the training pictures. On hrplanes all
# rates are swept together. On dubai a frozen backbone, which has no rate of its own, sweeps that of neck and head, and
# the other methods sweep theirs.
seeds = [0, 1, 2]
joint, own = dict(factors=[0.3, 1.0, 3.0], held_out=0.2), dict(factors=[0.1, 0.3, 1.0], held_out=0.2, of='method')
compared = ['frozen', 'est', 'full', 'partial']
others = [
    'lora',
    'adapter',
    'lst',
    'mona',
    'bitfit',
    'adaptformer',
    'side_tuning',
    'dtl',
    'convpass',
    'norm_tuning',
    'e3va',
    'ssf',
    'lorand',
]
memory, accuracy = [], []
# With a head on the last map alone half of the schedule shows what there is to see.
half = {
    'train_cfg.max_iters': 500,
    'train_cfg.val_interval': 500,
    'param_scheduler.0.end': 50,
    'param_scheduler.1.begin': 50,
    'param_scheduler.1.end': 500,
}
# Three times the rate of the schedule is what the sweeps with a frozen backbone chose for this head; the other methods
# begin with it.
own_rate = {**half, 'optim_wrapper.paramwise_cfg.custom_keys.decode_head.lr_mult': 30.0}
# A transformer and a ConvNet.
for backbone in ['deit-t', 'r50-c4']:
    hrplanes = [f'configs/detection/hrplanes/retinanet_{backbone}_est.py']
    dubai = [f'configs/segmentation/dubai/segformer_{backbone}_est.py']
    last_map = [f'configs/segmentation/dubai/fcn_{backbone}_est.py']
    memory += [
        dict(configs=last_map, sizes=[(256, 256)], batch_sizes=[4]),
        dict(configs=dubai, sizes=[(256, 256)], batch_sizes=[4]),
        dict(configs=hrplanes, sizes=[(192, 192)], batch_sizes=[4]),
    ]
    accuracy += [
        dict(configs=dubai, tunings=['frozen'], sweep=joint, seeds=seeds),
        dict(configs=dubai, tunings=['est', 'full'], sweep=own, seeds=seeds),
        dict(configs=dubai, tunings=['partial'], sweep=dict(own, factors=[1.0, 3.0]), seeds=seeds),
        # One seed is not enough to choose by: with a frozen or EST-tuned ResNet-50 these runs differ more by seed than
        # by rate.
        dict(
            configs=last_map,
            tunings=['frozen'],
            sweep=dict(joint, factors=[1.0, 3.0, 10.0], seeds=seeds),
            seeds=seeds,
            options=half,
        ),
        dict(
            configs=last_map,
            tunings=['est'],
            sweep=dict(own, factors=[0.3, 1.0, 3.0], seeds=seeds),
            seeds=seeds,
            options=own_rate,
        ),
        dict(configs=last_map, tunings=['full'], sweep=own, seeds=seeds, options=own_rate),
        dict(configs=last_map, tunings=['partial'], sweep=dict(own, factors=[1.0, 3.0]), seeds=seeds, options=own_rate),
        dict(configs=hrplanes, tunings=compared, sweep=joint, seeds=seeds),
        dict(configs=last_map, tunings=others, sweep=own, options=own_rate),
        dict(configs=hrplanes, tunings=others, sweep=joint),
    ]
