# What EST's parts are worth: one change at a time to the default, on dubai with DeiT-Tiny and 1000 iterations, at the rate of the side
# network that the default's sweep chose. The default itself and the frozen backbone are in the accuracy grid.
longer = {'train_dataloader.batch_size': 4, 'optim_wrapper.optimizer.lr': 3e-3, 'train_cfg.max_iters': 1000, 'train_cfg.val_interval': 1000,
          'param_scheduler.0.end': 100, 'param_scheduler.1.begin': 100, 'param_scheduler.1.end': 1000, 'model.backbone.tuning.lr_mult': 1.0}
changes = {'channel gate': {'gate': 'channel'}, 'reduction 8': {'reduction': 8}, 'reduction 2': {'reduction': 2},
           'one adapter': {'ratios': [1]}, 'taps stage': {'taps': 'stage'}, 'taps block': {'taps': 'block', 'reduction': 5},
           'kernel 5': {'kernel_size': 5}, 'output norms': {'output_norms': True}}
accuracy = [dict(configs=['configs/segmentation/dubai/segformer_deit-t_est.py'], tunings=['est'], variant=f'1000 iterations with {name}',
                 options={**longer, **{f'model.backbone.tuning.{knob}': value for knob, value in change.items()}})
            for name, change in changes.items()]
