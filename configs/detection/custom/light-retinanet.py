# Light enough for a CPU. The map of stride 4, which costs more than all others, is left out.
_base_ = [
    '../../_base_/models/light-retinanet.py',
    '../../_base_/backbones/swin-t.py',
    '../../_base_/datasets/coco_custom_detection.py',
    '../../_base_/schedules/adamw_12e.py',
    '../../_base_/tunings/est.py',
]
model = dict(
    data_preprocessor=_base_.normalisation,
    backbone=dict(backbone=dict(_base_.backbone, **_base_.for_mmdet, out_indices=(1, 2, 3)), tuning=_base_.tuning),
    neck=dict(in_channels=_base_.channels[1:]),
    bbox_head=dict(num_classes=_base_.num_classes),
    test_cfg=dict(max_per_img=_base_.max_per_img),
)
