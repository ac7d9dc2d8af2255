_base_ = [
    '../../_base_/models/retinanet_swin-l_fpn.py',
    '../../_base_/datasets/coco_custom_detection.py',
    '../../_base_/schedules/adamw_12e.py',
    '../../_base_/tunings/est.py',
]
model = dict(backbone=dict(tuning=_base_.tuning), bbox_head=dict(num_classes=_base_.num_classes))
