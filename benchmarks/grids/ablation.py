# What EST's parts are worth: one change at a time on the fair ground, three tasks and two backbones, three seeds, each
# at the rate that the sweep of accuracy.py chose for EST as it is. What concerns bottlenecks alone is on a ResNet.
# Three parts that have records are gone. Two gained nothing: "detail", the image at a fine stride in the first output,
# and "output norms", a trained scale and shift of each output. "Scaled corrections", max(1, σ) U LN(s) with σ the
# output's deviation over all that was seen, at a rate of their own, gained on one task alone (commit fbd0d06).
_base_ = './accuracy.py'
changes = {
    'taps 2': {'taps': 2},
    'reduction 6 and taps 2': {'reduction': 6, 'taps': 2},
    'three adapters': {'ratios': [1, 2, 4]},
    'one adapter': {'ratios': [2]},
    'kernel 3': {'kernel_size': 3},
    'scalar gate': {'gate': 'scalar'},
    'kernel 1': {'kernel_size': 1},
    'kernel 11': {'kernel_size': 11},
    'taps normed by position': {'tap_norm': 'layer'},
    'the state as it is': {'state_norm': False},
    'taps stage': {'taps': 'stage'},
}
of_bottlenecks = {'all taps at outputs': {'narrow_taps': False}}
accuracy, memory, time = [], [], []
for task in _base_.tasks:
    for backbone in _base_.backbones[:3]:
        for name, change in (of_bottlenecks if backbone == 'r50-half' else changes).items():
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
