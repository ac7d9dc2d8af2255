_base_ = [
    '../../_base_/models/cascade-rcnn_vit-b_fpn.py',
    '../../_base_/datasets/dota_detection.py',
    '../../_base_/schedules/adamw_12e.py',
    '../../_base_/tunings/est.py',
]
model = dict(
    backbone=dict(tuning=_base_.tuning),
    roi_head=dict(bbox_head=[dict(head, num_classes=_base_.num_classes) for head in _base_.model.roi_head.bbox_head]),
    test_cfg=dict(rcnn=dict(max_per_img=_base_.max_per_img)),
)
