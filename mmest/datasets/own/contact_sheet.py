"""A page of example images with their labels."""

import io
from pathlib import Path

import cv2
import numpy as np
import shapely
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from mmest.datasets.own.sample import OwnData, Sample
from mmest.files import write_bytes
from mmest.pictures.levels import Scale
from mmest.tiles.grid import Box

_CELL, _COLUMNS, _ROWS, _GAP, _TEXT = (400, 300), 4, 4, 16, 15
_PAPER, _INK, _FAINT = (255, 255, 255), (25, 25, 25), (110, 110, 110)
_LARGE, _CUT_OUT = 1280, 640  # of larger images parts are shown, at full resolution


def contact_sheet(
    data: OwnData, palette: list[tuple[int, int, int]], levels: Scale | None, out: Path, seed: int = 0
) -> int:
    """Write a page of up to sixteen images, chosen so that every class is on one of them if that can be.

    Args:
        data: what is shown.
        palette: a colour for each class, RGB.
        levels: the values that become black and white, of images that have not 8 bits.
        out: the PNG file to write.
        seed: of the choice.

    Returns:
        How many images are on it.
    """
    views = _views(_choose(data, seed), seed)
    shown = [_labelled(data, sample, window, palette, levels) for sample, window in views]
    height = max(image.height for image in shown)
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    font = ImageFont.truetype(font_manager.findfont('DejaVu Sans'), _TEXT)
    width = _GAP + columns * (_CELL[0] + _GAP)
    legend = _legend(data.classes, palette, width - 2 * _GAP, font)
    step = height + _GAP + _TEXT + 8
    page = Image.new('RGB', (width, 2 * _GAP + rows * step + legend.height), _PAPER)
    draw = ImageDraw.Draw(page)
    for number, ((sample, _), image) in enumerate(zip(views, shown)):
        x, y = _GAP + number % columns * (_CELL[0] + _GAP), _GAP + number // columns * step
        page.paste(image, (x + (_CELL[0] - image.width) // 2, y + (height - image.height) // 2))
        count = f'  ·  {len(sample.objects)}' if data.labels != 'masks' else ''
        name = sample.name.rpartition('/')[2]
        caption = _shortened(f'{sample.split or "not split"}{count}  ·  {name}', font, _CELL[0])
        draw.text((x, y + height + 4), caption, _FAINT, font)
    page.paste(legend, (_GAP, _GAP + rows * step))
    stream = io.BytesIO()
    page.save(stream, 'PNG')
    write_bytes(out, stream.getvalue())
    return len({sample.name for sample, _ in views})


def _choose(data: OwnData, seed: int) -> list[Sample]:
    """Images in random order; first one for each class, the rarest first, then more with objects."""
    order = [data.samples[i] for i in np.random.default_rng(seed).permutation(len(data.samples))]
    chosen: list[Sample] = []
    counts = {label: sum(one.label == label for s in order for one in s.objects) for label in range(len(data.classes))}
    for label in sorted(counts, key=counts.get):
        first = next((sample for sample in order if any(one.label == label for one in sample.objects)), None)
        if first is not None and first not in chosen:
            chosen.append(first)
    rest = [sample for sample in order if sample not in chosen]
    return (chosen + sorted(rest, key=lambda sample: not (sample.objects or sample.mask)))[: _COLUMNS * _ROWS]


def _views(chosen: list[Sample], seed: int) -> list[tuple[Sample, Box]]:
    """What is shown of each image: all of it, or of a large one parts around objects, the more the fewer images."""
    random = np.random.default_rng(seed)
    most = _COLUMNS * _ROWS // len(chosen)
    views = []
    for sample in chosen:
        if max(sample.width, sample.height) <= _LARGE:
            views.append((sample, (0, 0, sample.width, sample.height)))
            continue
        middles = [((one.box[0] + one.box[2]) / 2, (one.box[1] + one.box[3]) / 2) for one in sample.objects]
        middles = middles or [tuple(random.random(2) * (sample.width, sample.height)) for _ in range(most)]
        windows = [_around(middles[at], sample) for at in random.permutation(len(middles))]
        views += [(sample, window) for window in list(dict.fromkeys(windows))[:most]]
    return views


def _labelled(data: OwnData, sample: Sample, window: Box, palette: list, levels: Scale | None) -> Image.Image:
    """An image with its labels at the size of a cell. Lines are drawn after scaling, so that all are of one width."""
    with sample.open(levels) as opened:
        pixels = opened.read(window)
    factor = min(_CELL[0] / pixels.shape[1], _CELL[1] / pixels.shape[0])
    size = (max(1, round(pixels.shape[1] * factor)), max(1, round(pixels.shape[0] * factor)))
    pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
    if data.labels == 'masks':
        x0, y0, x1, y1 = window
        mask = data.read_mask(sample.mask)[y0:y1, x0:x1]
        return Image.fromarray(_tinted(pixels, cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST), palette))
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image, 'RGBA')
    for one in sample.objects:
        colour = tuple(palette[one.label])
        for line in _lines(one, window, factor):
            if one.shape is not None:
                draw.polygon(line, fill=(*colour, 70))
            draw.line([*line, line[0]], (*_PAPER, 160), 4)
            draw.line([*line, line[0]], colour, 2)
    return image


def _around(middle: tuple[float, float], sample: Sample) -> Box:
    """A part of an image around a point, on a grid, so that near points show one part."""
    width, height = min(sample.width, _CUT_OUT), min(sample.height, _CUT_OUT * _CELL[1] // _CELL[0])
    x = int(np.clip(middle[0] // width * width, 0, sample.width - width))
    y = int(np.clip(middle[1] // height * height, 0, sample.height - height))
    return x, y, x + width, y + height


def _tinted(pixels: np.ndarray, mask: np.ndarray, palette: list) -> np.ndarray:
    """Classes as colours over the image, and lines where they meet; what is unlabelled stays as it is."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)] = palette
    tinted = np.where((mask == 255)[..., None], pixels, (0.55 * pixels + 0.45 * table[mask]).astype(np.uint8))
    borders = cv2.morphologyEx(mask, cv2.MORPH_GRADIENT, np.ones((3, 3), np.uint8)) > 0
    tinted[borders] = 255
    return tinted


def _lines(one, window: tuple, factor: float) -> list[list[tuple[float, float]]]:
    """The outline of an object, or its box, in the cell's pixels."""
    shape = one.shape if one.shape is not None else shapely.box(*one.box)
    rings = [part.exterior for part in shapely.get_parts(shape).tolist() if part.geom_type == 'Polygon']
    return [[tuple((point - window[:2]) * factor) for point in shapely.get_coordinates(ring)] for ring in rings]


def _legend(classes: list[str], palette: list, width: int, font: ImageFont.FreeTypeFont) -> Image.Image:
    """Names and colours, in lines as wide as the page."""
    places, x, y = [], 0, 0
    for name in classes:
        needed = int(font.getlength(name)) + 2 * _TEXT + 16
        if x and x + needed > width:
            x, y = 0, y + _TEXT + 12
        places.append((x, y))
        x += needed
    legend = Image.new('RGB', (width, y + _TEXT + 12), _PAPER)
    draw = ImageDraw.Draw(legend)
    for (x, y), name, colour in zip(places, classes, palette):
        draw.rectangle((x, y + 2, x + _TEXT, y + 2 + _TEXT), tuple(colour), _FAINT)
        draw.text((x + _TEXT + 8, y), name, _INK, font)
    return legend


def _shortened(text: str, font: ImageFont.FreeTypeFont, width: int) -> str:
    while font.getlength(text) > width:
        text = text[:-2].rstrip('…') + '…'
    return text
