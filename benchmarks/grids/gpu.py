# For a GPU of 80 GB: what a CPU cannot measure. What does not fit is recorded as a failure. Run by benchmarks/gpu.sh.
configs = [
    f'configs/{head}_{backbone}_est.py'
    for backbone in ('swin-b', 'swin-l')
    for head in ('detection/custom/faster-rcnn', 'detection/custom/cascade-rcnn', 'segmentation/custom/upernet')
]
setting = dict(configs=configs, sizes=[(800, 800), (1024, 1024)], precisions=['fp32', 'bf16'], device='cuda')
memory = [dict(setting, batch_sizes=[2, 4, 8])]
time = [dict(setting, batch_sizes=[2, 4, 8])]
largest_batch = [dict(setting, budgets_gib=[24, 79])]
