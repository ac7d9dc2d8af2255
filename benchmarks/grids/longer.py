# Equal time: a step beside a frozen backbone costs less than one of full fine-tuning; here it is seen what 1.5 and 2
# times the steps give, with the rates that the sweeps of accuracy.py chose.
_base_ = './accuracy.py'
detail = {f'model.backbone.tuning.{knob}': value for knob, value in _base_.variants['with detail'].items()}
runs = [('full', '', {}), ('frozen', '', {}), ('est', '', {}), ('est', 'with detail', detail), ('partial', '', {})]
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
                sweep=dict((_base_.of_all if method == 'frozen' else _base_.of_method)[task], variant=variant),
                variant=f'{variant} for {steps} steps'.strip(),
                options={**options, **schedule},
            )
            for method, variant, options in runs
        ]
