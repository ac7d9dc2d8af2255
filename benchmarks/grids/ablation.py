# What EST's parts are worth: one change at a time to the default, on dubai with DeiT-Tiny and 1000 iterations, at the rate of the side
# network that the default's sweep chose. The default itself and the frozen backbone are in the accuracy grid.
_base_ = './accuracy.py'
memory = []
changes = {'channel gate': {'gate': 'channel'}, 'reduction 8': {'reduction': 8}, 'reduction 2': {'reduction': 2},
           'one adapter': {'ratios': [1]}, 'taps stage': {'taps': 'stage'}, 'taps block': {'taps': 'block', 'reduction': 5},
           'kernel 5': {'kernel_size': 5}, 'output norms': {'output_norms': True}}
accuracy = [dict(configs=['configs/segmentation/dubai/segformer_deit-t_est.py'], tunings=['est'], variant=f'1000 iterations with {name}',
                 options={**_base_.longer, 'model.backbone.tuning.lr_mult': 0.3,
                          **{f'model.backbone.tuning.{knob}': value for knob, value in change.items()}})
            for name, change in changes.items()]
