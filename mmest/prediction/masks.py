"""Ground cover of a whole picture: GeoTIFF or PNG, and an overlay."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from mmest.files import write_bytes
from mmest.pictures import ImageFile
from mmest.pictures.decoders import rasterio
from mmest.prediction.model import Model
from mmest.prediction.overlay import Overlay
from mmest.tiles.parts import tiles_with_parts

_BLOCK = 512


def predict_mask(
    model: Model, picture: ImageFile, out: Path, tile: int, overlap: int, progress: Callable[[], None]
) -> list[Path]:
    """Segment in tiles, and write ``<name>_mask.tif`` for a picture with a georeference, else ``<name>_mask.png``, and
    ``<name>_overlay.png``. Pixels are class numbers from 0 on.

    The mask grows in a file, so that memory does not grow with the picture.

    Args:
        model: a segmentor.
        picture: the picture.
        out: folder to write to.
        tile: side of a tile.
        overlap: of tiles; each pixel is taken from the tile whose borders are farther.
        progress: called after each tile.
    """
    out.mkdir(parents=True, exist_ok=True)
    overlay = Overlay(picture.width, picture.height)
    stem = picture.path.stem
    path = out / (f'{stem}_mask.tif' if _as_geotiff(picture) else f'{stem}_mask.png')
    raw, beside = (out / f'{path.name}.{kind}{os.getpid()}' for kind in ('raw', 'part'))
    try:
        present = np.zeros(len(model.classes), bool)
        mask = np.memmap(raw, np.uint8, 'w+', shape=(picture.height, picture.width))
        for box, part in tiles_with_parts(picture.width, picture.height, tile, overlap):
            pixels = picture.read(box)
            inside = np.s_[part[1] - box[1] : part[3] - box[1], part[0] - box[0] : part[2] - box[0]]
            numbers = model.mask(pixels)[inside]
            mask[part[1] : part[3], part[0] : part[2]] = numbers
            present[np.unique(numbers)] = True
            overlay.add(part, pixels[inside] // 2 + model.palette[numbers] // 2)
            progress()
        if _as_geotiff(picture):
            _write_geotiff(beside, mask, picture, model)
        else:
            _write_png(beside, mask, model)
        os.replace(beside, path)
    finally:
        raw.unlink(missing_ok=True)
        beside.unlink(missing_ok=True)
    overlay.legend([name for name, there in zip(model.classes, present) if there], model.palette[present])
    write_bytes(out / f'{stem}_overlay.png', overlay.png())
    return [path, out / f'{stem}_overlay.png']


def _as_geotiff(picture: ImageFile) -> bool:
    return rasterio is not None and picture.georeference.affine is not None


def _write_geotiff(path: Path, mask: np.ndarray, picture: ImageFile, model: Model) -> None:
    height, width = mask.shape
    with rasterio.open(
        path,
        'w',
        driver='GTiff',
        height=height,
        width=width,
        count=1,
        dtype='uint8',
        crs=picture.georeference.crs,
        transform=rasterio.Affine(*picture.georeference.affine),
        tiled=True,
        blockxsize=_BLOCK,
        blockysize=_BLOCK,
        compress='deflate',
        BIGTIFF='IF_SAFER',
    ) as target:
        target.write_colormap(1, {number: (*colour, 255) for number, colour in enumerate(model.palette.tolist())})
        for _, window in target.block_windows(1):
            rows, columns = window.toslices()
            target.write(mask[rows, columns], 1, window=window)


def _write_png(path: Path, mask: np.ndarray, model: Model) -> None:
    Image.MAX_IMAGE_PIXELS = None
    picture = Image.fromarray(mask).convert('L')
    picture.putpalette(model.palette.ravel().tolist())
    picture.save(path, 'PNG')
