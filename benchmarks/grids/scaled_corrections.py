# EST that corrects large outputs by as much more, on the fair ground, at rates of its own: those of EfficientNet-B0
# deviate by up to six, where those of the others do by one or less.
_base_ = './accuracy.py'
settings = [(task, backbone) for backbone in ('efficientnet-b0', 'deit-t') for task in _base_.tasks]
accuracy = [
    dict(
        configs=[f'{task}_{backbone}_est.py'],
        tunings=['est'],
        seeds=_base_.seeds,
        sweep=dict(_base_.of_method[task], factors=_base_.factors[1:]),
        variant='with scaled corrections',
        options={'model.backbone.tuning.scale_corrections': True},
    )
    for task, backbone in [*settings, (_base_.tasks[1], 'r50-half')]
]
memory, time = [], []
