"""Semantic segmentation of aerial imagery: MBRSC satellite pictures of Dubai."""

from mmengine.registry import DATASETS
from mmseg.datasets import BaseSegDataset


@DATASETS.register_module()
class DubaiDataset(BaseSegDataset):
    """jpg patches with png index masks: 0 building, 1 land, 2 road, 3 vegetation, 4 water, 5 unlabelled, 255 padding.

    The first five are classes; unlabelled ground becomes 255, which losses and metrics ignore.

    Args:
        kwargs: see :class:`mmseg.datasets.BaseSegDataset`.
    """

    METAINFO = dict(
        classes=('building', 'land', 'road', 'vegetation', 'water'),
        palette=[[60, 16, 152], [132, 41, 246], [110, 193, 228], [254, 221, 58], [226, 169, 41]],
    )
    UNLABELLED = 5

    def __init__(self, **kwargs) -> None:
        super().__init__(img_suffix='.jpg', seg_map_suffix='.png', reduce_zero_label=False, **kwargs)

    @classmethod
    def get_label_map(cls, new_classes=None):
        """The map of mmseg's for a selection of classes, or none, with unlabelled ground ignored as well."""
        return {**(super().get_label_map(new_classes) or {}), cls.UNLABELLED: 255}
