"""Whether the data that a config names is there and means what the config says, looked at before anything is built:
every annotation, the header of every image, every mask.
"""

from mmest.datasets.checks.classes import check_classes
from mmest.datasets.checks.config import check_data

__all__ = ['check_classes', 'check_data']
