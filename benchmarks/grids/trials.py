# Which parts EST wants: trials on cached views (mmest/benchmark/trials), one change at a time and together, on two
# tasks. Rates of the method are compared on the validation data, so these are leads and no records.
changes = {
    '': {},
    'with readout': dict(readout=True),
    'with all': dict(stem=True, late=True, mix=True, readout=True),
    'with late': dict(late=True),
    'with stem': dict(stem=True),
    'with mix': dict(mix=True),
    'with reduction 2': dict(reduction=2),
}
tasks = {
    'configs/segmentation/dubai/segformer_deit-t_est.py': dict(views=2, every=3),
    'configs/segmentation/epfl_road/segformer_deit-t_est.py': dict(views=8),
}
schedule = dict(steps=400, batch_size=4, label_stride=2, factor_of='method')
trial = []
for name, change in changes.items():
    options = {f'model.backbone.tuning.{knob}': value for knob, value in change.items()}
    for config, views in tasks.items():
        trial.append(dict(schedule, **views, configs=[config], tunings=['est'], variant=name, options=options))
trial += [dict(schedule, **views, configs=[config], tunings=['frozen']) for config, views in tasks.items()]
