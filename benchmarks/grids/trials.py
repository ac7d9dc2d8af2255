# Which parts EST wants, and how far full fine-tuning is: trials on cached views (mmest/benchmark/trials), one change at
# a time and together. They are leads and no records; a part of the training images scores them, so that validation data
# has no say in what EST is. Segmentors see each view about once, as many steps as in the accuracy grid.
# Parts that EST no longer has, because they did not help, are gone from here too: "late", every output's own linear map
# of the last state; "mix", self-attention over the last state; "stem", a first state from the image; "readout", a
# linear map of all taps in every output; "detail", the image at a fine stride in the first output.
changes = {
    '': {},
    'with kernel 3': dict(kernel_size=3),
    'with taps normed by position': dict(tap_norm='layer'),
    'with the state as it is': dict(state_norm=False),
    'with none of these three': dict(kernel_size=3, tap_norm='layer', state_norm=False),
    'with kernel 1': dict(kernel_size=1),
    'with kernel 11': dict(kernel_size=11),
    'with reduction 6 and taps 2': dict(reduction=6, taps=2),
    'with one adapter': dict(ratios=[2]),
    'with scalar gate': dict(gate='scalar'),
}
tasks = {
    'configs/segmentation/epfl_road/segformer_deit-t_est.py': dict(views=24, steps=600, batch_size=8, label_stride=2),
    'configs/detection/hrplanes/retinanet_deit-t_est.py': dict(views=1, steps=400, batch_size=4),
    'configs/segmentation/dubai/segformer_deit-t_est.py': dict(views=8, steps=600, batch_size=8, label_stride=2),
}
schedule = dict(factor_of='method')
trial = []
for config, views in tasks.items():
    trial.append(dict(schedule, **views, configs=[config], tunings=['frozen']))
    for name, knobs in changes.items():
        options = {f'model.backbone.tuning.{knob}': value for knob, value in knobs.items()}
        about = dict(configs=[config], tunings=['est'], variant=name, options=options)
        trial.append(dict(schedule, **views, **about, factors=[1.0], seeds=[0, 1, 2]))
        if name in ('', 'with none of these three'):
            trial.append(dict(schedule, **views, **about, factors=[0.3, 3.0], seeds=[0]))
# The backbone runs at every step of these.
for config, views in tasks.items():
    about = dict(configs=[config], tunings=['full'])
    trial += [
        dict(schedule, **views, **about, factors=[0.3, 1.0, 3.0]),
        dict(schedule, **views, **about, factors=[1.0], seeds=[1, 2]),
    ]
