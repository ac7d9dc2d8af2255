# Which EST: variants of it by their score on the held-out part of the training images, each at several rates. The
# validation images are not looked at, so what is chosen here can be compared with others there.
rates = [0.1, 0.3, 1.0]
base = dict(seeds=[0], sweep=dict(factors=rates, held_out=0.2, seeds=[0, 1], of='method'))
changes = {
    '': {},
    'reduction 4': dict(reduction=4),
    'reduction 2': dict(reduction=2),
    'reduction 2 taps 1': dict(reduction=2, taps=1),
    'detail': dict(reduction=4, detail=True),
    'detail wide': dict(reduction=2, taps=1, detail=True),
    'readout': dict(reduction=4, readout=True),
    'detail readout': dict(reduction=4, detail=True, readout=True),
    'output norms': dict(reduction=4, output_norms=True),
    'kernel 7': dict(reduction=4, kernel_size=7),
    'all': dict(reduction=2, taps=1, detail=True, readout=True, output_norms=True, kernel_size=7),
}
accuracy = []
for task in [
    'configs/detection/hrplanes/retinanet',
    'configs/segmentation/epfl_road/segformer',
    'configs/segmentation/dubai/segformer',
]:
    for backbone in ['deit-t', 'efficientnet-b0']:
        configs = [f'{task}_{backbone}_est.py']
        for name, change in changes.items():
            accuracy.append(
                dict(
                    base,
                    configs=configs,
                    tunings=['est'],
                    variant=name and f'with {name}',
                    options={f'model.backbone.tuning.{knob}': value for knob, value in change.items()},
                )
            )
        accuracy += [dict(base, configs=configs, tunings=[method]) for method in ('full', 'mona', 'lora', 'partial')]
