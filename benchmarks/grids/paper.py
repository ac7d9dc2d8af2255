# The tables of the paper: six data sets, every method, backbones of several sizes and kinds. Boxes at the published
# schedule: 12 epochs at 16 images a step, gathered over eight batches of two. Masks over 80 000 steps of four images,
# where mmseg's published trainings have four cards and 16: a quarter of the images, for every method alike.
# DOTA's oriented boxes, which need mmrotate, are in paper_oriented.py, ConvNeXt-B, which needs mmpretrain, in
# paper_convnext.py. Needs the official data, prepared as docs/datasets says, and cards. Run parts of it:
# --only dior,swin-b,est,full. docs/reproduce.md has the way from the downloads to the tables.
seeds = [0, 1, 2]
factors = [0.3, 1.0, 3.0]
# One seed per rate; the rate of the method alone, and of neck and head where the backbone is frozen.
of_method = dict(factors=factors, held_out=0.2, seeds=seeds[:1], of='method')
of_all = dict(factors=factors, held_out=0.2, seeds=seeds[:1])
backbones = ['swin-t', 'swin-b', 'swin-l', 'vit-b', 'r50']
heads = {
    'configs/detection/dior/faster-rcnn': (800, 800),
    'configs/detection/dota/faster-rcnn': (1024, 1024),
    'configs/segmentation/potsdam_five-classes/upernet': (512, 512),
    'configs/segmentation/vaihingen_five-classes/upernet': (512, 512),
    'configs/segmentation/loveda/upernet': (512, 512),
    'configs/segmentation/isaid/upernet': (896, 896),
}
methods = [
    'full',
    'frozen',
    'est',
    'partial',
    'bitfit',
    'norm_tuning',
    'lora',
    'adapter',
    'adaptformer',
    'lorand',
    'mona',
    'lst',
    'e3va',
    'dtl',
]
gathered = {'detection': {'optim_wrapper.accumulative_counts': 8}, 'segmentation': {}}
device = 'cuda'
accuracy, memory, time = [], [], []
for backbone in backbones:
    for head, size in heads.items():
        configs = [f'{head}_{backbone}_est.py']
        step = dict(configs=configs, tunings=methods, sizes=[size], batch_sizes=[2], device=device)
        memory.append(step)
        time.append(step)
        accuracy += [
            dict(
                configs=configs,
                tunings=[method],
                seeds=seeds,
                sweep=of_all if method == 'frozen' else of_method,
                options=gathered[head.split('/')[1]],
            )
            for method in methods
        ]
