"""A prepared set, as it lies in its folder."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from mmest.datasets.own.results import DESCRIPTION
from mmest.pictures.decoders.bands import as_option
from mmest.pictures.levels import Scale


@dataclass
class Prepared:
    """A prepared set.

    Attributes:
        folder: where it lies.
        task: ``detection`` or ``segmentation``.
        format: of the user's data, in words.
        source: the user's data.
        classes: names by number.
        palette: a colour for each, RGB.
        images: the folder that image names are relative to.
        counts: images by split.
        size: the longest side of a training image, in pixels as the network sees it.
        scale: pixels of the network by pixel of the image; 1 but for large images with large objects.
        levels: the values that become 0 and 255, of images that have not 8 bits.
        notes: how the data was understood.
        bands: of the images that are shown as red, green and blue; None for the first three. Tiles are RGB.
        tiled: whether there are tiles, whose levels and bands are made.
    """

    folder: Path
    task: str
    format: str
    source: Path
    classes: list[str]
    palette: list[tuple[int, int, int]]
    images: Path
    counts: dict[str, int]
    size: int
    scale: float
    levels: Scale | None
    notes: list[str]
    bands: tuple[int, ...] | None = None
    tiled: bool = False

    def labels(self, split: str) -> Path:
        """The COCO file, or the list of image names, of a split."""
        return self.folder / f'{split}{".json" if self.task == "detection" else ".txt"}'


def load(folder: Path) -> Prepared:
    """A set that was prepared before.

    Raises:
        FileNotFoundError: it is not there.
    """
    file = Path(folder) / DESCRIPTION
    if not file.is_file():
        raise FileNotFoundError(f'{folder} is no prepared data set: it has no {DESCRIPTION}.')
    found = json.loads(file.read_text())
    for own in ('key', 'elsewhere', 'asked'):
        found.pop(own, None)
    found.update(folder=Path(folder).absolute(), source=Path(found['source']))
    found['images'] = Path(folder).absolute() / found['images']
    found['palette'] = [tuple(colour) for colour in found['palette']]
    found['bands'] = tuple(found.get('bands') or ()) or None
    return Prepared(**found)


def images_of(folder: Path, split: str) -> set[str]:
    """Names of the images of a split; none where there is no prepared set, or no such split."""
    objects, masks = folder / f'{split}.json', folder / f'{split}.txt'
    if objects.is_file():
        return {image['file_name'] for image in json.loads(objects.read_text())['images']}
    return set(masks.read_text().splitlines()) if masks.is_file() else set()


def description(prepared: Prepared) -> dict:
    """Plain values; images of a set that stands alone by a relative path, so that it can be moved."""
    images = prepared.images
    inside = images.relative_to(prepared.folder) if images.is_relative_to(prepared.folder) else images
    return dict(asdict(prepared), folder='.', source=str(prepared.source), images=str(inside))


def as_asked(
    source: Path, out: Path, task: str | None, size: int | None, seed: int | None, bands: tuple[int, ...] | None
) -> Prepared:
    """A prepared set, unless something else is asked for than it is.

    Raises:
        ValueError: it has another task, size, seed or other bands, or shall be written to another folder.
    """
    prepared, asked = load(source), json.loads((source / DESCRIPTION).read_text()).get('asked', {})
    again = f'make it again from {prepared.source} (mmest data make)'
    if task not in (None, prepared.task):
        raise ValueError(f'{source} was prepared for {prepared.task}; for {task} {again}.')
    if size not in (None, prepared.size, asked.get('size')):
        raise ValueError(f'{source} was prepared for {prepared.size} pixels; leave --size out, or for {size} {again}.')
    if seed not in (None, asked.get('seed', 0)):
        raise ValueError(
            f'{source} was split with seed {asked.get("seed", 0)}; leave --seed out, or for seed {seed} {again}.'
        )
    if bands not in (None, prepared.bands):
        raise ValueError(f'{source} was prepared with {_words(prepared)}; leave --bands out, or for others {again}.')
    if out.resolve() != source.resolve():
        raise ValueError(f'{source} is a prepared set, of which no other is made; for {out} {again}.')
    return prepared


def check_same_bands(trained: Prepared, bands: tuple[int, ...] | None) -> None:
    """A run goes on with the bands that it began with.

    Args:
        trained: what it trained on.
        bands: what it would be shown now.

    Raises:
        ValueError: they are others.
    """
    if trained.bands != bands:
        way = f'pass --bands {as_option(trained.bands)}' if trained.bands else 'leave --bands out'
        raise ValueError(
            f'The run to go on with trained on {_words(trained)}: {way}, or for others train anew: leave --resume out, '
            'and take another --work-dir.'
        )


def _words(prepared: Prepared) -> str:
    return f'bands {", ".join(map(str, prepared.bands))}' if prepared.bands else 'the first three bands'
