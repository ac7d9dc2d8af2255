_base_ = [
    '../../_base_/models/segformer_swin-t.py',
    '../../_base_/datasets/vaihingen_five-classes_segmentation.py',
    '../../_base_/schedules/adamw_80k.py',
    '../../_base_/tunings/est.py',
]
model = dict(
    data_preprocessor=dict(size=_base_.crop_size),
    backbone=dict(tuning=_base_.tuning),
    decode_head=dict(num_classes=_base_.num_classes),
)
