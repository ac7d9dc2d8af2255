"""Images of small data sets, decoded once into one file that all jobs and all their workers share."""

import hashlib
import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from mmengine.registry import DATASETS, TRANSFORMS

from mmest.config_parts import parts_of
from mmest.files import whole_file, write_json
from mmest.pictures import ImageFile
from mmest.pictures.transforms import LoadImage

#: Data sets whose images need more bytes than this are read as ever.
MOST_BYTES = 2 * 2**30


@TRANSFORMS.register_module()
class LoadDecodedImage(LoadImage):
    """:class:`mmest.pictures.transforms.LoadImage` that finds images decoded.

    Args:
        store: of :func:`share_decoded`, without its ending.
    """

    def __init__(self, store: str) -> None:
        super().__init__()
        self.store = store

    @cached_property
    def _index(self) -> dict[str, list[int]]:
        return json.loads(Path(f'{self.store}.json').read_text())

    @cached_property
    def _bytes(self) -> np.memmap:
        return np.memmap(f'{self.store}.bin', np.uint8, 'r')

    def __call__(self, results: dict) -> dict:
        """As the loader of files does."""
        if results['img_path'] not in self._index:
            return super().__call__(results)
        start, height, width = self._index[results['img_path']]
        results['img'] = np.array(self._bytes[start : start + 3 * height * width]).reshape(height, width, 3)
        results['img_shape'] = results['ori_shape'] = (height, width)
        return results

    def __getstate__(self) -> dict:
        # Each worker maps the file itself.
        return {name: value for name, value in vars(self).items() if name not in ('_index', '_bytes')}


def share_decoded(loaders: Sequence[dict], folder: Path) -> None:
    """Have loaders read their images decoded, in place, if these are few.

    Args:
        loaders: configs of data loaders whose images mmest's reader loads; the pixels stay the same.
        folder: where the decoded images go, for all configs of the same images.
    """
    swapped = [part for loader in loaders for _, part in parts_of(loader) if _is_plain(part)]
    if not swapped:
        return
    paths: dict[str, None] = {}
    for loader in loaders:
        dataset = DATASETS.build(loader['dataset'])
        paths.update((dataset.get_data_info(i)['img_path'], None) for i in range(len(dataset)))
    try:
        total = 0
        for path in paths:
            with ImageFile(path) as image:
                total += 3 * image.width * image.height
            if total > MOST_BYTES:
                return
    except ValueError:
        return  # an image that needs a scale, or is damaged: the loader of files has the words for it
    store = folder / _digest(list(paths))
    if not store.with_suffix('.json').is_file():
        _decode(list(paths), store)
    for part in swapped:
        part.clear()
        part.update(type='LoadDecodedImage', store=str(store))


def _is_plain(part: dict) -> bool:
    return part.get('type') == 'LoadImage' and part.get('scale') is part.get('bands') is None


def _digest(paths: list[str]) -> str:
    stats = [(path, os.stat(path).st_size, os.stat(path).st_mtime_ns) for path in paths]
    return hashlib.sha256(json.dumps(stats).encode()).hexdigest()[:12]


def _decode(paths: list[str], store: Path) -> None:
    index, start = {}, 0
    with whole_file(store.with_suffix('.bin')) as file:
        for path in paths:
            pixels = LoadImage()(dict(img_path=path))['img']
            file.write(pixels.tobytes())
            index[path] = [start, *pixels.shape[:2]]
            start += pixels.size
    write_json(store.with_suffix('.json'), index, indent=None)
