# Short trainings on real data, sized for a CPU. Rates are swept on a fifth of the training images. On dubai the rate of neck and head is
# the one that suits a frozen backbone best, ten times that of the schedule, and each method sweeps its own; on hrplanes all rates are
# swept together.
seeds = [0, 1, 2]
joint, own = dict(factors=[0.3, 1.0, 3.0], held_out=0.2), dict(held_out=0.2, of='method')
compared = ['frozen', 'est', 'full', 'partial']
others = ['lora', 'adapter', 'lst', 'mona', 'bitfit', 'adaptformer', 'side_tuning', 'dtl', 'convpass', 'norm_tuning', 'e3va', 'ssf', 'lorand']
dubai, hrplanes = ['configs/segmentation/dubai/segformer_deit-t_est.py'], ['configs/detection/hrplanes/retinanet_deit-t_est.py']
batch = {'train_dataloader.batch_size': 4}
fast_head = {**batch, 'optim_wrapper.optimizer.lr': 3e-3}
accuracy = [
    dict(configs=hrplanes, tunings=compared, sweep=joint, seeds=seeds),
    dict(configs=dubai, tunings=['frozen'], sweep=dict(joint, factors=[0.3, 1.0, 3.0, 10.0]), options=batch),
    dict(configs=dubai, tunings=['est'], sweep=dict(own, factors=[0.03, 0.1, 0.3]), options=fast_head),
    dict(configs=dubai, tunings=['full', 'partial', *others], sweep=dict(own, factors=[0.03, 0.1, 0.3, 1.0]), options=fast_head),
    dict(configs=hrplanes, tunings=others, sweep=joint)]
memory = [dict(configs=dubai, sizes=[(256, 256)], batch_sizes=[4]), dict(configs=hrplanes, sizes=[(192, 192)], batch_sizes=[4])]
# Does the gap to a frozen backbone open with four times the training?
longer = {**fast_head, 'train_cfg.max_iters': 1000, 'train_cfg.val_interval': 1000, 'param_scheduler.0.end': 100,
          'param_scheduler.1.begin': 100, 'param_scheduler.1.end': 1000}
accuracy += [
    dict(configs=dubai, tunings=['est'], sweep=dict(own, factors=[0.03, 0.1]), options=longer, variant='1000 iterations', seeds=seeds),
    dict(configs=dubai, tunings=['frozen'], options=longer, variant='1000 iterations', seeds=seeds),
    dict(configs=dubai, tunings=['full'], sweep=dict(own, factors=[0.01, 0.03]), options=longer, variant='1000 iterations', seeds=seeds)]
# The other kind of backbone, a ConvNet.
dubai, hrplanes = ['configs/segmentation/dubai/segformer_r50-c4_est.py'], ['configs/detection/hrplanes/retinanet_r50-c4_est.py']
accuracy += [
    dict(configs=dubai, tunings=['est'], sweep=dict(own, factors=[0.03, 0.1]), options=longer, variant='1000 iterations', seeds=seeds),
    dict(configs=dubai, tunings=['frozen'], options=longer, variant='1000 iterations', seeds=seeds),
    dict(configs=dubai, tunings=['full'], sweep=dict(own, factors=[0.01, 0.03]), options=longer, variant='1000 iterations'),
    dict(configs=dubai, tunings=['frozen'], sweep=dict(joint, factors=[1.0, 3.0, 10.0])),
    dict(configs=dubai, tunings=['est', 'full', 'partial'], sweep=dict(own, factors=[0.03, 0.1, 0.3]),
         options={'optim_wrapper.optimizer.lr': 3e-3}),
    dict(configs=hrplanes, tunings=compared, sweep=joint, seeds=seeds)]
