# A plain transformer behind the pyramid that mmseg puts there for heads of several scales: strides 4, 8, 16 and 32,
# where accuracy.py hands over all maps at stride 16.
_base_ = './accuracy.py'
pyramid = dict(
    type='Feature2Pyramid', embed_dim=192, rescales=[4, 2, 1, 0.5], norm_cfg=dict(type='BN', requires_grad=True)
)
detail = {f'model.backbone.tuning.{knob}': value for knob, value in _base_.variants['with detail'].items()}
runs = [('full', '', {}), ('frozen', '', {}), ('est', '', {}), ('est', 'with detail', detail), ('mona', '', {})]
memory, time = [], []
accuracy = [
    dict(
        configs=[f'{task}_deit-t_est.py'],
        tunings=[method],
        seeds=_base_.seeds,
        sweep=_base_.of_all if method == 'frozen' else _base_.of_method,
        variant=f'{variant} behind a pyramid'.strip(),
        options={'model.neck': pyramid, **options},
    )
    for task in _base_.tasks
    if not task.startswith('configs/detection')
    for method, variant, options in runs
]
