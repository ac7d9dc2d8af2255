# For a GPU of 80 GB: what a CPU cannot measure, the most wanted first. What does not fit is recorded as a failure. Run
# by benchmarks/gpu.sh.
heads = ['detection/custom/faster-rcnn', 'segmentation/custom/upernet', 'detection/custom/cascade-rcnn']
configs = [f'configs/{head}_{backbone}_est.py' for backbone in ('swin-b', 'swin-l') for head in heads]
main = ['full', 'frozen', 'est', 'partial', 'lora', 'mona', 'lst', 'adapter', 'steered_est']
setting = dict(configs=configs, tunings=main, precisions=['fp32', 'bf16'], device='cuda')
steps = [dict(setting, sizes=[size], batch_sizes=[2]) for size in ((800, 800), (1024, 1024))]
rest = dict(setting, tunings=None, sizes=[(800, 800), (1024, 1024)], batch_sizes=[2, 4, 8])
memory = [*steps, rest]
time = [*steps, dict(rest, tunings=main, batch_sizes=[4, 8])]
largest_batch = [dict(setting, sizes=[(800, 800), (1024, 1024)], budgets_gib=[24, 79])]
