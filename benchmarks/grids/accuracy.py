# Short trainings on real data, sized for a CPU, with a sweep over each method's learning rate on a fifth of the training images.
# Five to ten minutes per training, four trainings per method; and the memory of the same steps.
configs = ['configs/segmentation/dubai/segformer_deit-t_est.py', 'configs/detection/hrplanes/retinanet_deit-t_est.py']
accuracy = [dict(configs=configs, seeds=[0], sweep=dict(factors=[0.3, 1.0, 3.0], held_out=0.2))]
memory = [dict(configs=configs[:1], sizes=[(256, 256)], batch_sizes=[8]), dict(configs=configs[1:], sizes=[(192, 192)], batch_sizes=[4])]
