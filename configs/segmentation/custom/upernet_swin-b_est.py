_base_ = [
    '../../_base_/models/upernet_swin-b.py',
    '../../_base_/datasets/folder_segmentation.py',
    '../../_base_/schedules/adamw_20k.py',
    '../../_base_/tunings/est.py',
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(tuning=_base_.tuning),
    decode_head=dict(num_classes=_base_.num_classes),
    auxiliary_head=dict(num_classes=_base_.num_classes),
)
