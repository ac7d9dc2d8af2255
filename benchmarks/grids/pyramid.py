# A plain transformer behind the pyramid that mmseg puts there for heads of several scales: strides 4, 8, 16 and 32, where
# accuracy.py hands over all maps at stride 16.
of_all = dict(factors=[0.1, 0.3, 1.0, 3.0], held_out=0.2, seeds=[0])
pyramid = dict(
    type='Feature2Pyramid',
    embed_dim=192,
    rescales=[4, 2, 1, 0.5],
    norm_cfg=dict(type='BN', requires_grad=True),
)
runs = [('full', '', {}), ('frozen', '', {}), ('est', '', {}), ('est', 'with detail', {'detail': True}), ('mona', '', {})]
accuracy = [
    dict(
        configs=[f'configs/segmentation/{data}/segformer_deit-t_est.py'],
        tunings=[method],
        seeds=[0, 1, 2],
        sweep=of_all if method == 'frozen' else dict(of_all, of='method'),
        variant=f'{variant} behind a pyramid'.strip(),
        options={'model.neck': pyramid, **{f'model.backbone.tuning.{knob}': value for knob, value in knobs.items()}},
    )
    for data in ('epfl_road', 'dubai')
    for method, variant, knobs in runs
]
