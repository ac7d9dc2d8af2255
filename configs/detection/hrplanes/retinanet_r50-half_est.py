_base_ = [
    '../../_base_/models/light-retinanet_r50-half.py',
    '../../_base_/datasets/hrplanes_detection.py',
    '../../_base_/schedules/adamw_short_detection.py',
    '../../_base_/tunings/est.py',
]
model = dict(backbone=dict(tuning=_base_.tuning), bbox_head=dict(num_classes=_base_.num_classes))
