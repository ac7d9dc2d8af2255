"""A data set that is drawn, not downloaded: overhead scenes with COCO boxes and semantic masks, in two domains.

Every picture comes from its own seed, so any subset of the data set has the same bytes as the same pictures of a larger
one, on the same versions of numpy and OpenCV.
"""

from .canvas import CLASSES, LAND_CLASSES, OBJECT_CLASSES, PALETTE
from .domains import DOMAINS, Domain
from .scene import Scene, render
from .writer import MARKER, VERSION, is_complete, scene_seed, write_dataset

__all__ = [
    'CLASSES',
    'DOMAINS',
    'LAND_CLASSES',
    'MARKER',
    'OBJECT_CLASSES',
    'PALETTE',
    'VERSION',
    'Domain',
    'Scene',
    'is_complete',
    'render',
    'scene_seed',
    'write_dataset',
]
