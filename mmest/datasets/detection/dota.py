"""DOTA's patches, as ``mmest data prepare dota`` writes them."""

from mmdet.datasets import CocoDataset
from mmengine.registry import DATASETS

from mmest.datasets.dota import metric  # noqa: F401 -- registers itself
from mmest.datasets.official import dota


@DATASETS.register_module()
class DOTADataset(CocoDataset):
    """COCO files of 15 classes, about patches; ``DOTABoxMetric`` scores whole images."""

    METAINFO = dict(classes=dota.CLASSES)
