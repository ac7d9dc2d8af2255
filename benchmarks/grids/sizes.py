# The networks beside the backbone at one size. LST has an eighth of the backbone's width, as published for backbones
# four times as wide; EST's width was chosen on these data. Here LST has that width too, at rates of its own; the other
# way round, EST as small as LST, is a part of ablation.py ("with reduction 6 and taps 2").
_base_ = './accuracy.py'
_, aircraft, roads = _base_.tasks
accuracy, memory, time = [], [], []
for task in (roads, aircraft):
    wide = dict(
        configs=[f'{task}_deit-t_est.py'],
        tunings=['lst'],
        variant='with reduction 2',
        options={'model.backbone.tuning.reduction': 2},
    )
    accuracy.append(dict(wide, seeds=_base_.seeds, sweep=dict(_base_.of_method[task], factors=[0.3, 1.0, 3.0])))
    memory.append(dict(wide, sizes=_base_.steps[task.split('/')[2]], batch_sizes=[4]))
