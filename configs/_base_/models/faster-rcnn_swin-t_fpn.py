# Faster R-CNN on Swin-T without data, for configs that build on it.
_base_ = ['./faster-rcnn.py', '../backbones/swin-t.py']
model = dict(backbone=dict(backbone=dict(_base_.backbone, **_base_.for_mmdet)), neck=dict(in_channels=_base_.channels))
