"""DIOR, as ``mmest data prepare dior`` writes it."""

from mmdet.datasets import CocoDataset
from mmengine.registry import DATASETS

from mmest.datasets.official import dior


@DATASETS.register_module()
class DIORDataset(CocoDataset):
    """COCO files of 20 classes."""

    METAINFO = dict(classes=dior.CLASSES)
