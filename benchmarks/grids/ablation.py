# What EST's parts are worth: one change at a time on the fair ground, three tasks and two backbones, three seeds, each
# at the rate that the sweep of accuracy.py chose for EST as it is.
_base_ = './accuracy.py'
changes = {
    'scalar gate': {'gate': 'scalar'},
    'channel gate': {'gate': 'channel'},
    'one adapter': {'ratios': [1]},
    'kernel 1': {'kernel_size': 1},
    'kernel 3': {'kernel_size': 3},
    'kernel 11': {'kernel_size': 11},
    'taps normed by position': {'tap_norm': 'layer'},
    'the state as it is': {'state_norm': False},
    'none of these three': {'kernel_size': 3, 'tap_norm': 'layer', 'state_norm': False},
    'reduction 2': {'reduction': 2},
    'reduction 8': {'reduction': 8},
    'taps stage': {'taps': 'stage'},
    'taps 1': {'taps': 1},
    'output norms': {'output_norms': True},
}
accuracy, memory, time = [], [], []
for task in _base_.tasks:
    for backbone in _base_.backbones[:2]:
        for name, change in changes.items():
            changed = dict(
                configs=[f'{task}_{backbone}_est.py'],
                tunings=['est'],
                variant=f'with {name}',
                options={f'model.backbone.tuning.{knob}': value for knob, value in change.items()},
            )
            accuracy.append(dict(changed, seeds=_base_.seeds, sweep=dict(_base_.of_method[task], variant='')))
            data = task.split('/')[2]
            if data in _base_.steps:
                memory.append(dict(changed, sizes=_base_.steps[data], batch_sizes=[4]))
