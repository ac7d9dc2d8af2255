# Equal time: a step beside a frozen backbone costs less than one of full fine-tuning; here it is seen what 1.5, 2 and 4
# times the steps give, with the rates that the sweeps of accuracy.py chose.
_base_ = './accuracy.py'
methods = ['full', 'frozen', 'est', 'steered_est', 'partial']
accuracy, memory, time = [], [], []
for backbone in _base_.backbones[:2]:
    for task in _base_.tasks:
        detects = task.startswith('configs/detection')
        for times in (2, 4) if detects else (1.5, 2):
            if detects:  # its schedule counts epochs, of which it has one
                schedule = dict.fromkeys(
                    ['train_cfg.max_epochs', 'train_cfg.val_interval', 'param_scheduler.1.end'], times
                )
            else:
                steps = round(600 * times)
                schedule = {
                    'train_cfg.max_iters': steps,
                    'train_cfg.val_interval': steps,
                    'param_scheduler.0.end': steps // 10,
                    'param_scheduler.1.begin': steps // 10,
                    'param_scheduler.1.end': steps,
                    'default_hooks.checkpoint.interval': steps // 2,
                }
            accuracy += [
                dict(
                    configs=[f'{task}_{backbone}_est.py'],
                    tunings=[method],
                    seeds=_base_.seeds,
                    sweep=dict(_base_.sweeps[method][task], variant=''),
                    variant=f'for {times:g} times the steps',
                    options=schedule,
                )
                for method in methods
            ]
