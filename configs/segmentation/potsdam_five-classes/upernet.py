_base_ = [
    '../../_base_/models/upernet.py',
    '../../_base_/backbones/swin-t.py',
    '../../_base_/datasets/potsdam_five-classes_segmentation.py',
    '../../_base_/schedules/adamw_80k.py',
    '../../_base_/tunings/est.py',
]
model = dict(
    data_preprocessor=dict(_base_.normalisation, size=_base_.crop_size),
    backbone=dict(backbone=dict(_base_.backbone, **_base_.for_mmseg), tuning=_base_.tuning),
    decode_head=dict(in_channels=_base_.channels, num_classes=_base_.num_classes),
    auxiliary_head=dict(in_channels=_base_.channels[2], num_classes=_base_.num_classes),
)
