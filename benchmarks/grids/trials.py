# Which parts EST wants: trials on cached views (mmest/benchmark/trials), one change at a time and together, on three
# tasks. Rates of the method are compared on the validation data, so these are leads and no records. Memory is measured
# by the exact counter beside: --only memory --out benchmarks/results.
# EST keeps within 3 % of the backbone's parameters by becoming narrower: what is added costs width, unless the
# reduction is stated. Records of variants that are not here ("late", "mix" and all together) are of parts that EST no
# longer has, because they did not help: late was every output's own linear map of the last state, mix self-attention
# over the last state.
changes = {
    '': {},
    'with readout': dict(readout=True),
    'with stem': dict(stem=True),
    'with reduction 2': dict(reduction=2),
    'with readout at reduction 4': dict(readout=True, reduction=4),
    'with stem at reduction 4': dict(stem=True, reduction=4),
    'with reduction 4': dict(reduction=4),
    'with detail at reduction 4': dict(detail=True, reduction=4),
    'with reduction 2 and all taps': dict(reduction=2, taps=1),
    'with detail at reduction 2 and all taps': dict(detail=True, reduction=2, taps=1),
}
#: Variant, factors on the rate of the method, seeds; the most informative first.
rounds = [
    *((name, [1.0], [0]) for name in list(changes)[:4]),
    ('', [0.3], [0, 1, 2]),
    ('', [0.1], [0]),
    ('', [1.0], [1]),
    ('with readout at reduction 4', [0.3], [0]),
    ('with stem at reduction 4', [0.3], [0]),
]
tasks = {
    'configs/segmentation/dubai/segformer_deit-t_est.py': dict(views=2, every=3),
    'configs/segmentation/epfl_road/segformer_deit-t_est.py': dict(views=8),
}
detection = {'configs/detection/hrplanes/retinanet_deit-t_est.py': dict(views=1, label_stride=1)}
#: The same, where what is small has to be found.
detected = [
    *((name, [1.0], [0]) for name in ['', *list(changes)[6:]]),
    ('', [0.3], [0]),
    *((name, [3.0], [0]) for name in ['', 'with detail at reduction 4']),
    *((name, [1.0], [1]) for name in ['', 'with detail at reduction 4', 'with reduction 4']),
    *((name, [1.0], [2]) for name in ['', 'with detail at reduction 4']),
]
schedule = dict(steps=400, batch_size=4, label_stride=2, factor_of='method')
trial = [
    dict(schedule, **views, configs=[config], tunings=['frozen']) for config, views in {**tasks, **detection}.items()
]
# The backbone runs at every step of it.
trial += [
    dict(schedule, **views, configs=[config], tunings=['full'], factors=[1.0, 0.3, 3.0])
    for config, views in detection.items()
]
for (name, factors, seeds), on in [*((one, tasks) for one in rounds), *((one, detection) for one in detected)]:
    options = {f'model.backbone.tuning.{knob}': value for knob, value in changes[name].items()}
    for config, views in on.items():
        about = dict(configs=[config], tunings=['est'], variant=name, options=options)
        trial.append(dict(schedule, **views, **about, factors=factors, seeds=seeds))
memory = [
    dict(
        configs=list(tasks)[:1],
        sizes=[(256, 256)],
        batch_sizes=[4],
        tunings=['est'],
        variant=name,
        options={f'model.backbone.tuning.{knob}': value for knob, value in change.items()},
    )
    for name, change in changes.items()
    if name
]
