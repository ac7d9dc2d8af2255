_base_ = [
    '../../_base_/models/light-retinanet.py',
    '../../_base_/backbones/r50-half.py',
    '../../_base_/datasets/hrplanes_detection.py',
    '../../_base_/schedules/adamw_short_detection.py',
    '../../_base_/tunings/est.py',
]
model = dict(
    data_preprocessor=_base_.normalisation,
    backbone=dict(backbone=dict(_base_.backbone, out_indices=(1, 2, 3)), tuning=_base_.tuning),
    neck=dict(in_channels=_base_.channels[1:]),
    bbox_head=dict(num_classes=_base_.num_classes),
)
