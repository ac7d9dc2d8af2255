"""Semantic segmentation of aerial imagery: roads, thin structures on 400×400 pixels."""

from mmengine.registry import DATASETS
from mmseg.datasets import BaseSegDataset


@DATASETS.register_module()
class EPFLRoadDataset(BaseSegDataset):
    """jpg images with png index masks: 0 background, 1 road.

    Args:
        kwargs: see :class:`mmseg.datasets.BaseSegDataset`.
    """

    METAINFO = dict(classes=('background', 'road'), palette=[[90, 110, 70], [240, 200, 80]])

    def __init__(self, **kwargs) -> None:
        super().__init__(img_suffix='.jpg', seg_map_suffix='.png', reduce_zero_label=False, **kwargs)
