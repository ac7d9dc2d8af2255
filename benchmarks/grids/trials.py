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
for config, views in tasks.items():
    setting = dict(configs=[config], **views, **schedule)
    trial += [
        dict(
            setting, tunings=['est'], variant=name, options={f'model.backbone.tuning.{k}': v for k, v in change.items()}
        )
        for name, change in changes.items()
    ]
    trial.append(dict(setting, tunings=['frozen']))
