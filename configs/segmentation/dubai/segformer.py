_base_ = [
    '../../_base_/models/light-segformer.py',
    '../../_base_/backbones/r50-half.py',
    '../../_base_/datasets/dubai_segmentation.py',
    '../../_base_/schedules/adamw_short_segmentation.py',
    '../../_base_/tunings/est.py',
]
model = dict(
    data_preprocessor=dict(_base_.normalisation, size=_base_.crop_size),
    backbone=dict(backbone=_base_.backbone, tuning=_base_.tuning),
    decode_head=dict(in_channels=_base_.channels, in_index=[0, 1, 2, 3], num_classes=_base_.num_classes),
    test_cfg=dict(mode='slide', crop_size=_base_.crop_size, stride=_base_.crop_size),
)
