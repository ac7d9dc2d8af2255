# Which parts EST wants, and how far full fine-tuning is: trials on cached views (mmest/benchmark/trials), one change at
# a time and together, on three tasks. Rates of the method are compared on the validation data, so these are leads and
# no records. Memory is measured by the exact counter beside: --only memory --out benchmarks/results.
# Records of variants that are not here are of parts that EST no longer has, because they did not help: "late", every
# output's own linear map of the last state; "mix", self-attention over the last state; "stem", a first state from the
# image; "readout", a linear map of all taps in every output; "all" of them together.
narrow = {'model.backbone.tuning.detail': False}
wide = {'model.backbone.tuning.reduction': 2, 'model.backbone.tuning.taps': 1}
changes = {
    '': {},
    'without detail': narrow,
    'with reduction 2 and all taps': wide,
    'without detail with reduction 4': {**narrow, 'model.backbone.tuning.reduction': 4},
    'without detail with reduction 2': {**narrow, 'model.backbone.tuning.reduction': 2},
    'without detail with reduction 2 and all taps': {**narrow, **wide},
}
segmentation = {
    'configs/segmentation/dubai/segformer_deit-t_est.py': dict(views=2, every=3, label_stride=2),
    'configs/segmentation/epfl_road/segformer_deit-t_est.py': dict(views=8, label_stride=2),
}
detection = {'configs/detection/hrplanes/retinanet_deit-t_est.py': dict(views=1)}


def trials(tasks, tuning, rounds, steps=400):
    """Of one method on each task; a round is a variant, its options, factors on the rate of the method, and seeds."""
    return [
        dict(
            views,
            steps=steps,
            batch_size=4,
            factor_of='method',
            configs=[config],
            tunings=[tuning],
            variant=variant,
            options=options,
            factors=factors,
            seeds=seeds,
        )
        for variant, options, factors, seeds in rounds
        for config, views in tasks.items()
    ]


# The rate of the head is ten times as high in these, and that of the method stays.
head, base = 'with a faster head', {'optim_wrapper.optimizer.lr': 3e-3}
# A step of EST costs less than one of full fine-tuning, and a network from nothing wants more of them.
longer = [('for 1200 steps', {}, [1.0], [0, 1])]
three = [0, 1, 2]
#: The most informative first.
trial = [
    *trials({**segmentation, **detection}, 'frozen', [('', {}, [1.0], [0])]),
    *trials(segmentation, 'frozen', [(head, base, [1.0], [0])]),
    *trials({**segmentation, **detection}, 'est', [('', {}, [1.0], three)]),
    *trials(segmentation, 'est', [(head, {**base, 'model.backbone.tuning.lr_mult': 1.0}, [1.0], three)]),
    *trials({**segmentation, **detection}, 'est', longer, steps=1200),
    *trials(detection, 'est', [('', {}, [0.3, 3.0], [0])]),
    *trials(segmentation, 'est', [('', {}, [0.3], three)]),
    *trials({**segmentation, **detection}, 'est', [('without detail', narrow, [0.3, 1.0, 3.0], three)]),
    *trials(
        {**segmentation, **detection},
        'est',
        [(name, change, [1.0], [0]) for name, change in changes.items() if name not in ('', 'without detail')],
    ),
    # The backbone runs at every step of these.
    *trials({**segmentation, **detection}, 'full', [('', {}, [0.3, 1.0, 3.0], [0]), ('', {}, [0.3], [1, 2])]),
    *trials(segmentation, 'full', [(head, {**base, 'model.backbone.tuning.lr_mult': 0.1}, [0.3], [0])]),
    *trials(segmentation, 'mona', [('', {}, [0.3], [0])]),
]
memory = [
    dict(configs=[config], sizes=[size], batch_sizes=[4], tunings=['est'], variant=name, options=change)
    for config, size in ((list(segmentation)[0], (256, 256)), (list(detection)[0], (192, 192)))
    for name, change in changes.items()
    if name
]
