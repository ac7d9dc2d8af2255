# RetinaNet on Swin-T without data, for configs that build on it.
_base_ = ['./retinanet.py', '../backbones/swin-t.py']
model = dict(
    backbone=dict(backbone=dict(_base_.backbone, **_base_.for_mmdet, out_indices=(1, 2, 3))),
    neck=dict(in_channels=_base_.channels[1:]),
)
