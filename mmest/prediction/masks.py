"""Ground cover of a whole image: GeoTIFF or PNG, and an overlay."""

import errno
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mmest.datasets.own.results import note_results, noted_results
from mmest.files import beside, reserve, write_bytes
from mmest.pictures import ImageFile
from mmest.pictures.decoders.raster import rasterio
from mmest.pictures.georeference import Georeference
from mmest.prediction.model import NO_DATA, Model
from mmest.prediction.overlay import Overlay
from mmest.prediction.steps import Steps, finish
from mmest.tiles.parts import tiles_with_parts

_BLOCK = 512


def predict_mask(
    model: Model, image: ImageFile, out: Path, tile: int, overlap: int, progress: Callable[[], None]
) -> list[Path]:
    """:func:`segmenting`, to the end; ``progress`` is called after each tile."""
    return finish(segmenting(model, image, out, tile, overlap), progress)


def segmenting(
    model: Model,
    image: ImageFile,
    out: Path,
    tile: int,
    overlap: int,
    options: Mapping[str, Any] | None = None,
) -> Steps:
    """Segment in tiles, and write ``<name>_mask.tif`` for an image with a georeference, else ``<name>_mask.png``, and
    ``<name>_overlay.png``. Pixels are class numbers from 0 on; 255 is ground without data.

    The mask grows in a file, so that memory does not grow with the image. A world file is kept as one where rasterio,
    which writes GeoTIFF, is not installed.

    Args:
        model: a segmentor.
        image: the image.
        out: folder to write to.
        tile: side of a tile.
        overlap: of tiles; each pixel is taken from the tile whose borders are farther.
        options: what the overlay says that it was made with, by name.
    """
    out.mkdir(parents=True, exist_ok=True)
    overlay = Overlay(image.width, image.height)
    ground, stem = image.georeference, image.path.stem
    as_geotiff = rasterio is not None and bool(ground.affine or ground.control_points)
    path = out / (f'{stem}_mask.tif' if as_geotiff else f'{stem}_mask.png')
    world_file = [path.with_suffix('.pgw')] if ground.affine and not as_geotiff else []
    paths = [path, *world_file, out / f'{stem}_overlay.png']
    counts = np.zeros(256, np.int64)
    # A file without a name, which nothing leaves behind.
    with tempfile.TemporaryFile(dir=out) as raw:
        reserve(raw, image.height * image.width)
        mask = np.memmap(raw, np.uint8, 'w+', shape=(image.height, image.width))
        for box, part in tiles_with_parts(image.width, image.height, tile, overlap):
            pixels, valid = image.read(box), image.valid(box)
            inside = np.s_[part[1] - box[1] : part[3] - box[1], part[0] - box[0] : part[2] - box[0]]
            valid = None if valid is None else valid[inside]
            numbers, shaded = _segment(model, pixels, inside, valid)
            mask[part[1] : part[3], part[0] : part[2]] = numbers
            counts += np.bincount(numbers.ravel(), minlength=256)
            overlay.add(part, shaded, valid)
            yield
        earlier = noted_results(out)
        note_results(paths)
        try:
            if as_geotiff:
                _write_geotiff(beside(path), mask, ground, model)
            else:
                _write_png(beside(path), mask, model, counts[NO_DATA] > 0)
            os.replace(beside(path), path)
        finally:
            beside(path).unlink(missing_ok=True)
    for file in world_file:
        write_bytes(file, _world_file(ground))
    for other in (out / f'{stem}_mask{end}' for end in ('.tif', '.png', '.pgw')):
        if other not in paths and other.name in earlier:  # predicted when the image had another georeference
            other.unlink(missing_ok=True)
    present = np.flatnonzero(counts[: len(model.classes)])
    shares = counts[present] / max(1, counts[: len(model.classes)].sum())
    names = [f'{model.classes[number]} {_percent(share)}' for number, share in zip(present, shares)]
    overlay.legend(names, model.palette[present])
    write_bytes(paths[-1], overlay.png(options or {}))
    return paths


def _segment(
    model: Model, pixels: np.ndarray, inside: tuple[slice, slice], valid: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Class numbers of a part of a tile, and its pixels in the colours of their classes."""
    seen = pixels[inside]
    if valid is not None and not valid.any():
        return np.full(seen.shape[:2], NO_DATA, np.uint8), seen
    numbers = model.mask(pixels)[inside]
    shaded = seen // 2 + model.palette[numbers] // 2
    return (numbers if valid is None else np.where(valid, numbers, np.uint8(NO_DATA))), shaded


def _percent(share: float) -> str:
    return f'{share:.0%}' if share >= 0.01 else '<1%'


def _write_geotiff(path: Path, mask: np.ndarray, ground: Georeference, model: Model) -> None:
    """What is written is read again: GDAL writes the last of a file as it closes it, and says nothing where that fails.

    Raises:
        OSError: the file does not hold the mask.
    """
    height, width = mask.shape
    place = (
        dict(gcps=ground.control_points) if ground.control_points else dict(transform=rasterio.Affine(*ground.affine))
    )
    profile = dict(
        driver='GTiff',
        height=height,
        width=width,
        count=1,
        dtype='uint8',
        nodata=NO_DATA,
        crs=ground.crs,
        tiled=True,
        blockxsize=_BLOCK,
        blockysize=_BLOCK,
        compress='deflate',
        BIGTIFF='IF_SAFER',
    )
    try:
        with rasterio.open(path, 'w', **profile, **place) as target:
            target.write_colormap(1, {number: (*colour, 255) for number, colour in enumerate(model.palette.tolist())})
            for _, window in target.block_windows(1):
                target.write(mask[window.toslices()], 1, window=window)
        with rasterio.open(path) as written:
            windows = (window for _, window in written.block_windows(1))
            whole = all(np.array_equal(written.read(1, window=window), mask[window.toslices()]) for window in windows)
    except rasterio.errors.RasterioIOError:
        whole = False
    if not whole:
        raise OSError(errno.EIO, 'The disk did not take all of the mask')


def _write_png(path: Path, mask: np.ndarray, model: Model, holes: bool) -> None:
    made = Image.fromarray(mask).convert('L')
    # A whole palette: PNG numbers no more colours than it has.
    made.putpalette(np.pad(model.palette, ((0, 256 - len(model.palette)), (0, 0))).tobytes())
    made.save(path, 'PNG', **(dict(transparency=NO_DATA) if holes else {}))


def _world_file(ground: Georeference) -> bytes:
    a, b, c, d, e, f = ground.affine
    return ''.join(f'{value!r}\n' for value in (a, d, b, e, c + (a + b) / 2, f + (d + e) / 2)).encode()
