# How many training images a method needs: 5, 10 and 25 per cent of them, the same for all methods, with the rate that
# the sweep of accuracy.py chose for the method on all of them, on which it was trained there. Validation data stays
# whole, and so does the number of steps.
_base_ = './accuracy.py'
methods = ['full', 'frozen', 'lora', 'mona', 'est']
images = {'dubai': 351, 'hrplanes': 999, 'epfl_road': 80}  # of hrplanes those with airplanes
accuracy, memory, time = [], [], []
for backbone in ['deit-t', 'efficientnet-b0']:
    for task in _base_.tasks:
        total = images[task.split('/')[2]]
        for share in (5, 10, 25):
            count = round(total * share / 100)
            chosen = [i * total // count for i in range(count)]  # spread over all there is
            options = {'train_dataloader.dataset.indices': chosen}
            if task.startswith('configs/detection'):  # its schedule counts epochs
                epochs = 100 // share
                for key in ('train_cfg.max_epochs', 'train_cfg.val_interval', 'param_scheduler.1.end'):
                    options[key] = epochs
            accuracy += [
                dict(
                    configs=[f'{task}_{backbone}_est.py'],
                    tunings=[method],
                    seeds=_base_.seeds,
                    sweep=dict(_base_.sweeps[method][task], variant=''),
                    variant=f'{share} per cent of the images',
                    options=options,
                )
                for method in methods
            ]
