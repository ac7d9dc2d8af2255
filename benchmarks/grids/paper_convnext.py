# ConvNeXt-B, as paper.py has the rest; its configs can only be read where mmpretrain is installed.
_base_ = './paper.py'
accuracy, memory, time = [], [], []
for head, size in _base_.heads.items():
    configs = [f'{head}_convnext-b_est.py']
    step = dict(configs=configs, tunings=_base_.methods, sizes=[size], batch_sizes=[2], device='cuda')
    memory.append(step)
    time.append(step)
    accuracy += [
        dict(
            configs=configs,
            tunings=[method],
            seeds=_base_.seeds,
            sweep=_base_.of_all if method == 'frozen' else _base_.of_method,
            options=_base_.gathered[head.split('/')[1]],
        )
        for method in _base_.methods
    ]
