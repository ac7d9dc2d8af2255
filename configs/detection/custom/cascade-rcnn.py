_base_ = [
    '../../_base_/models/cascade-rcnn.py',
    '../../_base_/backbones/swin-t.py',
    '../../_base_/datasets/coco_custom_detection.py',
    '../../_base_/schedules/adamw_12e.py',
    '../../_base_/tunings/est.py',
]
model = dict(
    data_preprocessor=_base_.normalisation,
    backbone=dict(backbone=dict(_base_.backbone, **_base_.for_mmdet), tuning=_base_.tuning),
    neck=dict(in_channels=_base_.channels),
    roi_head=dict(bbox_head=[dict(head, num_classes=_base_.num_classes) for head in _base_.model.roi_head.bbox_head]),
    test_cfg=dict(rcnn=dict(max_per_img=_base_.max_per_img)),
)
