# The fair ground: short trainings on real data, sized for a CPU or a small card. Every method has the same number of
# rates, the same seeds and the same held-out part of the training images to choose its rate on; drop path is off for
# all (the configs of these backbones say so). "mmest tables" says where the best rate lies at the edge of its sweep:
# widen "factors" then, for all methods.
seeds = [0, 1, 2]
# Of the method's own rate; a frozen backbone has none, so there they are of neck and head, and as many.
factors = [0.1, 0.3, 1.0, 3.0, 10.0]
backbones = ['deit-t', 'efficientnet-b0', 'r50-half', 'r50-c4']
tasks = [
    'configs/segmentation/dubai/segformer',
    'configs/detection/hrplanes/retinanet',
    'configs/segmentation/epfl_road/segformer',
]
# A fifth of the training images chooses; where they were cut from a few large tiles, whole tiles: neighbours would say
# which method learns the ground by heart.
held_out = {'dubai': ['*/t1_*', '*/t6_*']}
# On aircraft seeds differ by more than rates do.
sweep_seeds = {'hrplanes': seeds[:2]}
of_all = {
    task: dict(factors=factors, held_out=held_out.get(data, 0.2), seeds=sweep_seeds.get(data, seeds[:1]))
    for task in tasks
    for data in [task.split('/')[2]]
}
of_method = {task: dict(sweep, of='method') for task, sweep in of_all.items()}
# In the order in which time runs out.
methods = [
    'full',
    'frozen',
    'est',
    'steered_est',
    'partial',
    'mona',
    'lora',
    'lst',
    'norm_tuning',
    'adapter',
    'adaptformer',
    'e3va',
    'dtl',
]
# Which of the two a method has, by method and task.
sweeps = {method: of_all if method == 'frozen' else of_method for method in methods}
more_blocks = {f'{n} blocks': {'model.backbone.tuning.blocks': n} for n in (2, 3)}
recomputed = {'model.backbone.backbone.with_cp': True}
# Methods whose gradient crosses the backbone, which keeps its maps for it.
crossing = ['full', 'norm_tuning', 'lora', 'adapter', 'adaptformer', 'mona']
# What a step costs is measured at these sizes; dubai has the model of the roads, with three classes more.
steps = {'hrplanes': [(192, 192)], 'epfl_road': [(256, 256)]}

accuracy, memory, time = [], [], []
for backbone in backbones:
    for task in tasks:
        configs = [f'{task}_{backbone}_est.py']
        accuracy += [
            dict(
                configs=configs,
                tunings=[method],
                seeds=seeds,
                sweep=sweeps[method][task],
            )
            for method in methods
        ]
        accuracy += [
            dict(
                configs=configs, tunings=['partial'], seeds=seeds, sweep=of_method[task], variant=name, options=options
            )
            for name, options in more_blocks.items()
        ]
        data = task.split('/')[2]
        if data not in steps:
            continue
        step = dict(configs=configs, sizes=steps[data], batch_sizes=[4])
        memory.append(dict(step, tunings=methods))
        memory += [
            dict(step, tunings=['partial'], variant=name, options=options) for name, options in more_blocks.items()
        ]
        # With recomputed blocks a method scores as without; it costs less memory and more time.
        again = dict(step, tunings=crossing, variant='recomputed', options=recomputed)
        memory.append(again)
        time += [dict(step, tunings=methods), again]
# Layer decay for full fine-tuning of the transformer.
for task in tasks:
    accuracy.append(
        dict(
            configs=[f'{task}_deit-t_est.py'],
            tunings=['full'],
            seeds=seeds,
            sweep=of_method[task],
            variant='layer decay 0.75',
            options={'model.backbone.tuning.layer_decay': 0.75},
        )
    )
