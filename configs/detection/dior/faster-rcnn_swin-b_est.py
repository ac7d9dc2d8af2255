_base_ = [
    '../../_base_/models/faster-rcnn_swin-b_fpn.py',
    '../../_base_/datasets/dior_detection.py',
    '../../_base_/schedules/adamw_12e.py',
    '../../_base_/tunings/est.py',
]
model = dict(backbone=dict(tuning=_base_.tuning), roi_head=dict(bbox_head=dict(num_classes=_base_.num_classes)))
