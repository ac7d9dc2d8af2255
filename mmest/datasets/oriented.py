"""Data sets of oriented boxes. Importing the module registers them; needs mmrotate."""

from mmengine.registry import DATASETS

import mmest.rotated  # noqa: F401
from mmest.datasets.detection.dior import DIORDataset
from mmest.datasets.detection.dota import DOTADataset


class _Corners:
    """Boxes as four corners, which ``LoadAnnotations(box_type='qbox')`` reads."""

    def parse_data_info(self, raw_data_info: dict) -> dict:
        info = super().parse_data_info(raw_data_info)
        for instance in info['instances']:
            if 'mask' not in instance:
                raise ValueError(
                    f'{self.ann_file} has objects without corners (segmentation), such as one of {info["img_path"]}: '
                    'its boxes are horizontal. Prepare the oriented ones (docs/datasets), or take a detector of '
                    'horizontal boxes.'
                )
            instance['bbox'] = instance.pop('mask')[0]
        return info


@DATASETS.register_module()
class OrientedDOTADataset(_Corners, DOTADataset):
    """What ``mmest data prepare dota`` writes: patches."""


@DATASETS.register_module()
class OrientedDIORDataset(_Corners, DIORDataset):
    """What ``mmest data prepare dior_r`` writes."""
