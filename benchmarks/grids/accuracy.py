# Short trainings on real data, sized for a CPU: one to three minutes each of the first kind, three to five of the second. Rates are swept on
# a fifth of the training images. On dubai the rate of neck and head is the one that suits a frozen backbone best, ten times that of
# the schedule, and each method sweeps its own; on hrplanes all rates are swept together.
sweep = dict(factors=[0.3, 1.0, 3.0], held_out=0.2)
methods = ['est', 'full', 'partial', 'lora', 'adapter', 'lst', 'mona', 'bitfit', 'adaptformer', 'side_tuning', 'dtl', 'convpass', 'norm_tuning',
           'e3va', 'ssf', 'lorand']
dubai, hrplanes = ['configs/segmentation/dubai/segformer_deit-t_est.py'], ['configs/detection/hrplanes/retinanet_deit-t_est.py']
batch = {'train_dataloader.batch_size': 4}
accuracy = [
    dict(configs=dubai, tunings=['frozen'], sweep=dict(sweep, factors=[0.3, 1.0, 3.0, 10.0]), options=batch),
    dict(configs=dubai, tunings=methods, sweep=dict(sweep, factors=[0.03, 0.1, 0.3, 1.0], of='method'),
         options={**batch, 'optim_wrapper.optimizer.lr': 3e-3}),
    dict(configs=hrplanes, tunings=['frozen', *methods], sweep=sweep)]
memory = [dict(configs=dubai, sizes=[(256, 256)], batch_sizes=[4]), dict(configs=hrplanes, sizes=[(192, 192)], batch_sizes=[4])]
# Does the gap to a frozen backbone open with four times the training?
longer = {**batch, 'optim_wrapper.optimizer.lr': 3e-3, 'train_cfg.max_iters': 1000, 'train_cfg.val_interval': 1000, 'param_scheduler.0.end': 100,
          'param_scheduler.1.begin': 100, 'param_scheduler.1.end': 1000}
accuracy += [
    dict(configs=dubai, tunings=['est'], sweep=dict(factors=[0.1, 1.0], held_out=0.2, of='method'), options=longer, variant='1000 iterations'),
    dict(configs=dubai, tunings=['frozen'], options=longer, variant='1000 iterations')]
