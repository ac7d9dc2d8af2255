_base_ = [
    '../../_base_/models/light-segformer_r50-half.py',
    '../../_base_/datasets/dubai_segmentation.py',
    '../../_base_/schedules/adamw_short_segmentation.py',
    '../../_base_/tunings/est.py',
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(tuning=_base_.tuning),
    decode_head=dict(num_classes=_base_.num_classes),
    test_cfg=dict(mode='slide', crop_size=_base_.crop_size, stride=_base_.crop_size),
)
