# Equal time: a step beside a frozen backbone costs less than one of full fine-tuning; here it is seen what 1.5 and 2
# times the steps give, with the rates that the sweeps of accuracy.py chose.
_base_ = './accuracy.py'
methods = ['full', 'frozen', 'est', 'partial']
accuracy, memory, time = [], [], []
for task in _base_.tasks:
    if task.startswith('configs/detection'):  # its schedule counts epochs
        continue
    for steps in (900, 1200):
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
                configs=[f'{task}_deit-t_est.py'],
                tunings=[method],
                seeds=_base_.seeds,
                sweep=dict((_base_.of_all if method == 'frozen' else _base_.of_method)[task], variant=''),
                variant=f'for {steps} steps',
                options=schedule,
            )
            for method in methods
        ]
