# Longer trainings: a step beside a frozen backbone costs less time than one of full fine-tuning, and here it is seen what
# 1.5 and 2 times the steps give. Rates are those that the sweeps of accuracy.py chose, so measure that grid first, with
# the same --out. "with detail" is a variant there, whose sweep is used.
factors = [0.1, 0.3, 1.0, 3.0]


def lengthened(steps: int) -> dict:
    """The options of a schedule of so many iterations."""
    return {
        'train_cfg.max_iters': steps,
        'train_cfg.val_interval': steps,
        'param_scheduler.0.end': steps // 10,
        'param_scheduler.1.begin': steps // 10,
        'param_scheduler.1.end': steps,
        'default_hooks.checkpoint.interval': steps // 2,
    }


detail = {'model.backbone.tuning.detail': True}
runs = [('full', '', {}), ('frozen', '', {}), ('est', '', {}), ('est', 'with detail', detail), ('partial', '', {})]
accuracy = [
    dict(
        configs=[f'configs/segmentation/{data}/segformer_deit-t_est.py'],
        tunings=[method],
        seeds=[0, 1, 2],
        sweep=dict(
            factors=factors, held_out=0.2, variant=variant, **({} if method == 'frozen' else dict(of='method'))
        ),
        variant=f'{variant} for {steps} steps'.strip(),
        options={**options, **lengthened(steps)},
    )
    for data in ('epfl_road', 'dubai')
    for steps in (900, 1200)
    for method, variant, options in runs
]
