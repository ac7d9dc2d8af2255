# DOTA v1.0 with oriented boxes, as paper.py has the rest; its configs can only be read where mmrotate is installed.
_base_ = './paper.py'
accuracy, memory, time = [], [], []
for backbone in _base_.backbones:
    configs = [f'configs/detection/dota/oriented-rcnn_{backbone}_est.py']
    step = dict(configs=configs, tunings=_base_.methods, sizes=[(1024, 1024)], batch_sizes=[2], device='cuda')
    memory.append(step)
    time.append(step)
    accuracy += [
        dict(
            configs=configs,
            tunings=[method],
            seeds=_base_.seeds,
            sweep=_base_.of_all if method == 'frozen' else _base_.of_method,
            options=_base_.gathered['detection'],
        )
        for method in _base_.methods
    ]
