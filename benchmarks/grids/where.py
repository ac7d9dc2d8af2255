# Where in a convolutional network a change is needed: LoRA in its first blocks, down to the finest map that the neck
# reads, or in those behind it.
_base_ = './accuracy.py'
halves = {'first blocks': r'layers\.[1-3]\..*', 'later blocks': r'layers\.[4-6]\..*'}
accuracy = [
    dict(
        configs=['configs/detection/hrplanes/retinanet_efficientnet-b0_est.py'],
        tunings=['lora'],
        seeds=_base_.seeds,
        sweep=dict(_base_.of_method['configs/detection/hrplanes/retinanet'], variant=''),
        variant=f'in {name}',
        options={'model.backbone.tuning.targets': targets},
    )
    for name, targets in halves.items()
]
memory, time = [], []
