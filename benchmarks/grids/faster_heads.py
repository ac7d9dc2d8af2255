# On land cover and roads a frozen backbone, which sweeps the rate of neck and head, chose a multiple of the schedule's,
# which the other methods keep. Here they have it too, at the rates of their own that the sweeps of accuracy.py chose.
# What held-out images say of it is asked at EST's chosen rate.
_base_ = './accuracy.py'
dubai, _, roads = _base_.tasks
# By configs: the rate, where the schedule has 10.
rates = {f'{dubai}_deit-t': 30.0, f'{dubai}_efficientnet-b0': 100.0, f'{roads}_efficientnet-b0': 100.0}
accuracy = [
    dict(
        configs=[f'{config}_est.py'],
        tunings=[method],
        seeds=_base_.seeds,
        sweep=dict(_base_.of_method[config.rsplit('_', 1)[0]], **own),
        variant=f'heads at rate {rate:.0f}',
        options={f'optim_wrapper.paramwise_cfg.custom_keys.{part}.lr_mult': rate for part in ('neck', 'decode_head')},
    )
    for config, rate in rates.items()
    for method, own in (('est', dict(factors=[1.0])), ('full', dict(variant='')))
]
memory, time = [], []
