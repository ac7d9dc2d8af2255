# Which parts EST wants, and how far full fine-tuning is: trials on cached views (mmest/benchmark/trials), one change at
# a time and together, on three tasks. Rates of the method are compared on the validation data, so these are leads and
# no records. Memory is measured by the exact counter beside: --only memory --out benchmarks/results.
# EST keeps within 3 % of the backbone's parameters by becoming narrower: what is added costs width, unless the
# reduction is stated. Records of variants that are not here are of parts that EST no longer has, because they did not
# help: "late", every output's own linear map of the last state; "mix", self-attention over the last state; "stem", a
# first state from the image; "readout", a linear map of all taps in every output; "all" of them together.
changes = {
    '': {},
    'with reduction 2': dict(reduction=2),
    'with reduction 4': dict(reduction=4),
    'with detail': dict(detail=True),
    'with detail at reduction 4': dict(detail=True, reduction=4),
    'with reduction 2 and all taps': dict(reduction=2, taps=1),
    'with detail at reduction 2 and all taps': dict(detail=True, reduction=2, taps=1),
}
segmentation = {
    'configs/segmentation/dubai/segformer_deit-t_est.py': dict(views=2, every=3, label_stride=2),
    'configs/segmentation/epfl_road/segformer_deit-t_est.py': dict(views=8, label_stride=2),
}
detection = {'configs/detection/hrplanes/retinanet_deit-t_est.py': dict(views=1)}
#: Variant, factors on the rate of the method, seeds; the most informative first.
segmented = [
    ('', [1.0], [0]),
    ('with reduction 2', [1.0], [0]),
    ('', [0.3], [0, 1, 2]),
    ('', [0.1], [0]),
    ('', [1.0], [1]),
    ('with detail at reduction 4', [0.3, 1.0], [0, 1]),
    ('with detail', [1.0], [0, 1, 2]),
]
detected = [
    *((name, [1.0], [0]) for name in changes if name != 'with reduction 2'),
    ('', [0.3, 3.0], [0]),
    ('with detail at reduction 4', [3.0], [0]),
    *((name, [1.0], [1]) for name in ['', 'with detail at reduction 4', 'with reduction 4']),
    *((name, [1.0], [2]) for name in ['', 'with detail at reduction 4']),
]
schedule = dict(steps=400, batch_size=4, factor_of='method')
trial = [
    dict(schedule, **views, configs=[config], tunings=['frozen'])
    for config, views in {**segmentation, **detection}.items()
]
for rounds, tasks in ((segmented, segmentation), (detected, detection)):
    for name, factors, seeds in rounds:
        options = {f'model.backbone.tuning.{knob}': value for knob, value in changes[name].items()}
        for config, views in tasks.items():
            about = dict(configs=[config], tunings=['est'], variant=name, options=options)
            trial.append(dict(schedule, **views, **about, factors=factors, seeds=seeds))
# The backbone runs at every step of these.
for config, views in {**detection, **segmentation}.items():
    about = dict(configs=[config], tunings=['full'])
    trial += [
        dict(schedule, **views, **about, factors=[0.3, 1.0, 3.0]),
        dict(schedule, **views, **about, factors=[1.0], seeds=[1, 2]),
    ]
memory = [
    dict(
        configs=[config],
        sizes=[size],
        batch_sizes=[4],
        tunings=['est'],
        variant=name,
        options={f'model.backbone.tuning.{knob}': value for knob, value in change.items()},
    )
    for config, size in ((list(segmentation)[0], (256, 256)), (list(detection)[0], (192, 192)))
    for name, change in changes.items()
    if name
]
