# What EST's parts are worth: one change at a time, on dubai with DeiT-Tiny and a head on the last map alone, at the
# rates of the configs except that of the head, which is the accuracy grid's.
_base_ = './accuracy.py'
changes = {
    'no change': {},
    'scalar gate': {'gate': 'scalar'},
    'channel gate': {'gate': 'channel'},
    'one adapter': {'ratios': [1]},
    'kernel 1': {'kernel_size': 1},
    'kernel 5': {'kernel_size': 5},
    'reduction 8': {'reduction': 8},
    'taps stage': {'taps': 'stage'},
    'taps block': {'taps': 'block', 'reduction': 5},
    'output norms': {'output_norms': True},
}
memory, accuracy = [], []
for name, change in changes.items():
    changed = dict(configs=['configs/segmentation/dubai/fcn_deit-t_est.py'], tunings=['est'], variant=f'with {name}')
    options = {f'model.backbone.tuning.{knob}': value for knob, value in change.items()}
    memory.append(dict(changed, sizes=[(256, 256)], batch_sizes=[4], options=options))
    accuracy.append(dict(changed, options={**_base_.own_rate, **options}))
