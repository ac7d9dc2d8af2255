"""The one reader of images: every path that opens one goes through it, so that equal files give equal pixels."""

from mmest.pictures.image import ImageFile
from mmest.pictures.masks import read_mask
from mmest.pictures.problems import UnusableImage

__all__ = ['ImageFile', 'UnusableImage', 'read_mask']
