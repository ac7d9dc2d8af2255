# What single decisions save, on one model: the figures behind docs/memory.md.
config = ['configs/detection/custom/faster-rcnn_swin-t_est.py']
setting = dict(configs=config, sizes=[(512, 512)], batch_sizes=[2])
sgd = {
    'optim_wrapper.optimizer._delete_': True,
    'optim_wrapper.optimizer.type': 'SGD',
    'optim_wrapper.optimizer.lr': 0.01,
    'optim_wrapper.optimizer.momentum': 0.9,
    'optim_wrapper.optimizer.weight_decay': 1e-4,
}


def levers(head, backbone, method, *names):
    """A method with levers on memory (--memory), by name."""
    configs = [f'configs/{head}_{backbone}_est.py']
    return dict(setting, configs=configs, tunings=[method], variant=' '.join(names), options={'memory': list(names)})


def many_classes(*names):
    """UperNet with 150 classes, whose logits weigh more."""
    options = {f'model.{head}.num_classes': 150 for head in ('decode_head', 'auxiliary_head')}
    entry = levers(upernet, 'swin-t', 'est', *names)
    variant = ' '.join(['150 classes', *names])
    return dict(entry, variant=variant, options=dict(options, memory=list(names)))


def more_blocks(head, backbone, blocks):
    """Partial fine-tuning of several blocks, which a user might take instead."""
    options = {'model.backbone.tuning.blocks': blocks}
    configs = [f'configs/{head}_{backbone}_est.py']
    return dict(setting, configs=configs, tunings=['partial'], variant=f'{blocks} blocks', options=options)


frcnn, upernet = 'detection/custom/faster-rcnn', 'segmentation/custom/upernet'
rungs = ['frozen_bf16', 'side_int8', 'heads_recomputed', 'loss_in_rows']
side = {
    'not recomputed': dict(recompute=False),
    'every second block': dict(taps=2),
    'one tap per stage': dict(taps='stage'),
    'reduction 8': dict(reduction=8),
}
# The most wanted first.
memory = [
    levers(frcnn, 'swin-b', 'est', 'frozen_bf16'),
    levers(frcnn, 'swin-b', 'est', 'lowest'),
    levers(frcnn, 'swin-t', 'est', 'lowest'),
    levers(upernet, 'swin-t', 'est', 'lowest'),
    levers(upernet, 'swin-t', 'est', 'heads_recomputed'),
    levers(upernet, 'swin-t', 'est', 'loss_in_rows'),
    levers(frcnn, 'swin-t', 'est', 'frozen_bf16'),
    levers(frcnn, 'swin-t', 'est', 'side_bf16'),
    levers(frcnn, 'swin-t', 'est', 'side_int8'),
    levers(frcnn, 'swin-t', 'est', 'heads_recomputed'),
    levers(upernet, 'swin-b', 'est', 'lowest'),
    levers(upernet, 'vit-b', 'est', 'lowest'),
    many_classes('heads_recomputed'),
    many_classes('heads_recomputed', 'loss_in_rows'),
    *(levers(head, backbone, 'full', 'lowest') for head, backbone in ((frcnn, 'swin-t'), (upernet, 'swin-t'))),
    levers(frcnn, 'swin-t', 'est', *rungs[:2]),
    *(more_blocks(frcnn, 'swin-t', blocks) for blocks in (3, 2)),
    *(levers(upernet, 'swin-t', 'est', *rungs[:number]) for number in (1, 2, 3)),
    *(more_blocks(upernet, 'swin-t', blocks) for blocks in (3, 2)),
    levers(upernet, 'swin-t', 'full', 'blocks_recomputed'),
    levers(frcnn, 'swin-b', 'full', 'lowest'),
    # The largest that a card of 8 GiB is asked for.
    dict(levers('detection/custom/cascade-rcnn', 'swin-l', 'est', 'lowest'), sizes=[(1024, 1024)]),
    *(levers(upernet, backbone, 'full', 'lowest') for backbone in ('swin-b', 'vit-b')),
    *(levers(frcnn, 'r50', method, 'lowest') for method in ('est', 'full')),
    levers(frcnn, 'r50', 'est', 'frozen_bf16'),
    *(levers(frcnn, backbone, 'est', 'frozen_int8') for backbone in ('swin-t', 'swin-b')),
    *(levers(head, 'swin-t', 'est', 'lowest', 'frozen_int8') for head in (frcnn, upernet)),
    levers(frcnn, 'swin-b', 'est', 'lowest', 'frozen_int8'),
    # Needs bitsandbytes.
    *(levers(frcnn, 'swin-t', method, 'adamw_8bit') for method in ('full', 'est')),
    *(
        levers(head, 'swin-t', method, 'lowest', 'adamw_8bit')
        for head in (frcnn, upernet)
        for method in ('est', 'full')
    ),
]
memory += [
    dict(configs=config, sizes=[(512, 512), (384, 384)], batch_sizes=[2], tunings=['full', 'frozen', 'partial', 'est']),
    dict(configs=config, sizes=[(512, 512)], batch_sizes=[1], tunings=['full', 'frozen', 'partial', 'est']),
    dict(setting, tunings=['full'], variant='recomputed blocks', options={'model.backbone.backbone.with_cp': True}),
    dict(setting, tunings=['full', 'est'], variant='SGD', options=sgd),
    *(
        dict(
            setting,
            tunings=['est'],
            variant=name,
            options={f'model.backbone.tuning.{knob}': value for knob, value in knobs.items()},
        )
        for name, knobs in side.items()
    ),
]
