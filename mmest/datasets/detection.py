"""Detection data sets in mmdet. Importing the module registers them and their metrics."""

from mmdet.datasets import CocoDataset
from mmengine.registry import DATASETS

from mmest.datasets.dota import metric  # noqa: F401
from mmest.datasets.official import dior, dota


@DATASETS.register_module()
class DIORDataset(CocoDataset):
    """What ``tools/datasets/dior.py`` writes."""

    METAINFO = dict(classes=dior.CLASSES)


@DATASETS.register_module()
class DOTADataset(CocoDataset):
    """What ``tools/datasets/dota.py`` writes: patches."""

    METAINFO = dict(classes=dota.CLASSES)
