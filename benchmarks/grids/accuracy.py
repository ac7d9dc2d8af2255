# Short trainings on real data, sized for a CPU, each method with a sweep over its learning rate on a fifth of the training images. One to
# three minutes per training of the first, five to ten of the second; four trainings per method; and the memory of the same steps.
tunings = ['est', 'full', 'frozen', 'lora', 'adapter', 'partial', 'lst', 'mona', 'bitfit', 'adaptformer', 'side_tuning', 'dtl', 'convpass',
           'norm_tuning', 'e3va', 'ssf', 'lorand']
sweep = dict(factors=[0.3, 1.0, 3.0], held_out=0.2)
dubai, hrplanes = ['configs/segmentation/dubai/segformer_deit-t_est.py'], ['configs/detection/hrplanes/retinanet_deit-t_est.py']
accuracy = [
    dict(configs=dubai, tunings=tunings, seeds=[0], sweep=sweep, options={'train_dataloader.batch_size': 4}),
    dict(configs=hrplanes, tunings=tunings, seeds=[0], sweep=sweep)]
memory = [dict(configs=dubai, sizes=[(256, 256)], batch_sizes=[4]), dict(configs=hrplanes, sizes=[(192, 192)], batch_sizes=[4])]
