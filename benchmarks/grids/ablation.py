# What EST's parts are worth: one change at a time to the default, on dubai with DeiT-Tiny and a head on the last map alone. The default
# itself and the frozen backbone are in the accuracy grid, whose sweep chose the rate of the side network.
_base_ = './accuracy.py'
memory = []
changes = {'channel gate': {'gate': 'channel'}, 'reduction 8': {'reduction': 8}, 'reduction 2': {'reduction': 2},
           'one adapter': {'ratios': [1]}, 'taps stage': {'taps': 'stage'}, 'taps block': {'taps': 'block', 'reduction': 5},
           'kernel 5': {'kernel_size': 5}, 'output norms': {'output_norms': True}}
accuracy = [dict(configs=['configs/segmentation/dubai/fcn_deit-t_est.py'], tunings=['est'], variant=f'with {name}',
                 options={**_base_.own_rate, **{f'model.backbone.tuning.{knob}': value for knob, value in change.items()}})
            for name, change in changes.items()]
