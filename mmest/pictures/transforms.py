"""The reader as transforms of mmengine's pipelines."""

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from mmengine import fileio
from mmengine.registry import TRANSFORMS

from mmest.config_parts import kind_of, parts_of
from mmest.pictures.decoders.bands import check_choice
from mmest.pictures.image import ImageFile
from mmest.pictures.levels import check_scale
from mmest.pictures.masks import read_mask

# What a loader may state and still be replaced: what decodes is no choice any more, the rest is what this reader does.
_SAME = dict(imdecode_backend=..., color_type='color', to_float32=False, ignore_empty=False, backend_args=None)
# What one that stays may state and give BGR of 8 bits all the same: mmcv's tifffile gives what is in the file.
_AS_COLOUR = dict(color_type=('color',), imdecode_backend=('cv2', 'turbojpeg', 'pillow', None))
_LABELS = ('Annotation', 'Mask', 'Proposals')  # in the names of what loads these


@TRANSFORMS.register_module()
class LoadImage:
    """Loads an image as mmcv's ``LoadImageFromFile`` does, by mmest's reader.

    Args:
        scale: the values that become 0 and 255, of images that have not 8 bits; without it they are refused.
        bands: of TIFF and JPEG 2000, the bands that are red, green and blue, counted from 1 (default: the first three).

    Raises:
        ValueError: ``scale`` or ``bands`` is no rule.
    """

    def __init__(self, scale: Sequence[float] | None = None, bands: Sequence[int] | None = None) -> None:
        self.scale, self.bands = check_scale(scale), check_choice(bands)

    def __call__(self, results: dict) -> dict:
        """Add ``img``, H×W×3 in BGR, with ``img_shape`` and ``ori_shape``.

        Raises:
            FileNotFoundError: ``img_path`` is not there.
            UnusableImage: it cannot be used.
        """
        with ImageFile(*_source(results['img_path']), scale=self.scale, bands=self.bands) as image:
            pixels = image.read()
        results['img'] = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
        results['img_shape'] = results['ori_shape'] = pixels.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}(scale={self.scale}, bands={self.bands})'


@TRANSFORMS.register_module()
class LoadMask:
    """Loads a semantic mask as mmseg's ``LoadAnnotations`` does, by mmest's reader."""

    def __call__(self, results: dict) -> dict:
        """Add ``gt_seg_map``, H×W class numbers.

        Raises:
            FileNotFoundError: ``seg_map_path`` is not there.
            UnusableImage: it cannot be used.
        """
        numbers = np.arange(256)
        if results.get('reduce_zero_label'):
            numbers = np.where(numbers % 255 == 0, 255, numbers - 1)
        mapped = numbers.copy()
        for old, new in (results.get('label_map') or {}).items():
            mapped[numbers == old] = new
        results['gt_seg_map'] = mapped.astype(np.uint8)[read_mask(*_source(results['seg_map_path']))]
        results.setdefault('seg_fields', []).append('gt_seg_map')
        return results

    def __repr__(self) -> str:
        return f'{type(self).__name__}()'


def _source(path: str) -> tuple[str | bytes, str]:
    """A file, or the content of a remote one, which mmengine fetches; and its name for messages."""
    return (fileio.get(path), path) if '://' in path else (path, path)


def use_reader(
    loader: Any, segments: bool, scale: Sequence[float] | None = None, bands: Sequence[int] | None = None
) -> None:
    """Swap the loaders of mmcv and mmseg for those above, in place, wherever they stand in a loader's config.

    Configs keep naming the former, so that they run without mmest and in the inferencers, which look for them. Loaders
    that are told more than their defaults, such as a remote storage, stay.

    Args:
        loader: the config of a data loader, or a part of it.
        segments: whether ``LoadAnnotations`` loads masks.
        scale, bands: see :class:`LoadImage`.
    """
    for _, part in parts_of(loader):
        name = kind_of(part)
        if _is_plain(part):
            if name == 'LoadImageFromFile':
                part.clear()
                part.update(type='LoadImage', scale=scale, bands=bands)
            elif name == 'LoadAnnotations' and segments:
                part.clear()
                part.update(type='LoadMask')


def _is_plain(part: dict) -> bool:
    return all(key in _SAME and _SAME[key] in (..., value) for key, value in part.items() if key != 'type')


def loads_otherwise(part: dict) -> str | None:
    """The name of a part of a pipeline that loads images, perhaps as other pixels than this reader; None of others."""
    name = kind_of(part)
    if 'Load' not in name or name == LoadImage.__name__ or any(label in name for label in _LABELS):
        return None
    if name != 'LoadImageFromFile':
        return name
    told = [f'{key}={part[key]!r}' for key, same in _AS_COLOUR.items() if part.get(key, same[0]) not in same]
    return f'{name} with {told[0]}' if told and not _is_plain(part) else None
