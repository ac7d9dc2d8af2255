# On dubai a frozen backbone, which sweeps the rate of neck and head, chose three times that of the schedule, which the
# other methods keep. Here they have it too, at the rates of their own that the sweeps of accuracy.py chose. What
# held-out tiles say of it is asked at EST's chosen rate.
_base_ = './accuracy.py'
task = _base_.tasks[0]
heads = {f'optim_wrapper.paramwise_cfg.custom_keys.{part}.lr_mult': 30.0 for part in ('neck', 'decode_head')}
accuracy = [
    dict(
        configs=[f'{task}_deit-t_est.py'],
        tunings=[method],
        seeds=_base_.seeds,
        sweep=dict(_base_.of_method[task], **own),
        variant='heads at rate 30',
        options=heads,
    )
    for method, own in (('est', dict(factors=[1.0])), ('full', dict(variant='')))
]
memory, time = [], []
