# Light enough for a CPU: one convolution on the map of stride 16, which all backbones have.
_base_ = [
    '../../_base_/models/light-fcn.py',
    '../../_base_/backbones/swin-t.py',
    '../../_base_/datasets/folder_segmentation.py',
    '../../_base_/schedules/adamw_20k.py',
    '../../_base_/tunings/est.py',
]
model = dict(
    data_preprocessor=dict(_base_.normalisation, size=_base_.crop_size),
    backbone=dict(backbone=dict(_base_.backbone, **_base_.for_mmseg, out_indices=(2,)), tuning=_base_.tuning),
    decode_head=dict(in_channels=_base_.channels[2], num_classes=_base_.num_classes),
)
