"""Images and masks in folders: pairs, sizes, and the class numbers in every mask."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mmest.datasets.checks.images import Listing, headers, listing, masks
from mmest.datasets.checks.report import contents, count, some
from mmest.datasets.text import decode
from mmest.pictures.formats import ENDINGS
from mmest.pictures.reading import Reading


@dataclass(frozen=True)
class Pairs:
    """A data set of image and mask files.

    Args:
        option: its key in the config, for messages.
        images, labels: their folders; ``labels`` is None where nothing is scored here.
        image_ending, label_ending: ends of the file names.
        names: the images to use, without ending; None means all in the folder.
        classes: their names, in the order of their numbers.
        zero_is_ignored: whether 0 is no class and the classes count from 1 in the files.
        label_map: class numbers by those in the files, after that.
        ignored: the number of pixels that are no class.
        reads_numbers: whether the pixels are taken as class numbers, and not through a reader of its own.
        reading: how the config has images read.
    """

    option: str
    images: Path
    labels: Path | None
    image_ending: str
    label_ending: str
    names: Sequence[str] | None
    classes: Sequence[str]
    zero_is_ignored: bool
    label_map: dict[int, int] | None
    ignored: int
    reads_numbers: bool
    reading: Reading

    def number_of(self, value: int) -> int:
        """The class number that training sees for a pixel's value."""
        if self.zero_is_ignored:
            value = 255 if value in (0, 255) else value - 1
        return (self.label_map or {}).get(value, value)


def read_names(path: Path, ending: str) -> tuple[list[str], bool]:
    """The names in a list of images, without their ending, and whether the file is other than these lines.

    Raises:
        ValueError: it is no text, or holds no name.
    """
    raw = path.read_bytes()
    try:
        text = decode(raw)
    except ValueError as error:
        raise ValueError(f'The list {path} {error}. Save it as UTF-8.') from error
    names = [line.strip().removesuffix(ending) for line in text.splitlines() if line.strip()]
    if not names:
        raise ValueError(f'The list {path} names no image.')
    return names, '\n'.join(names).encode() != raw.strip().replace(b'\r\n', b'\n')


def check_pairs(data: Pairs) -> tuple[list[str], list[str]]:
    """Look at every image and every mask.

    Returns:
        What was left out, or is unusual; and the names of the images, without ending.

    Raises:
        FileNotFoundError: images or masks are missing.
        ValueError: a file cannot be read, or a mask does not fit its image or the classes.
    """
    images = listing(data.images)
    labels = images if data.labels == data.images else listing(data.labels) if data.labels else {}
    names = _names(data, images)
    notes = []
    if data.names is None:
        notes += _other_endings(data, images)
    elif len(set(names)) < len(names):
        notes.append(f'{data.option}: {count(len(names) - len(set(names)), "name")} of the list are there twice.')
    found = headers(data.images, images, [name + data.image_ending for name in names], data.reading)
    if not data.labels:
        return notes, names
    missing = [name for name in names if name + data.label_ending not in labels]
    if missing:
        raise FileNotFoundError(
            f'{len(missing)} of {len(names)} images in {data.images} have no mask *{data.label_ending} in {data.labels}'
            f', such as {some(name + data.image_ending for name in missing)}{_instead(missing[0], labels)}. Complete '
            f'the folder, or name the ending with --cfg-options {data.option}.seg_map_suffix=ENDING.'
        )
    if data.names is None:
        notes += _lonely(data, names, labels)
    if not data.reads_numbers:
        return notes, names
    facts = masks(data.labels, labels, [name + data.label_ending for name in names])
    for name in names:
        _fits(data, name, found[name + data.image_ending], facts[name + data.label_ending])
    return notes + _values(data, {name: facts[name + data.label_ending] for name in names}), names


def _names(data: Pairs, images: Listing) -> list[str]:
    ending = data.image_ending
    if data.names is not None:
        missing = [name for name in data.names if name + ending not in images]
        if missing:
            raise FileNotFoundError(
                f'The list of {data.option} names {len(data.names)} images, of which {len(missing)} are not in '
                f'{data.images}: {some(name + ending for name in missing)}{_instead(missing[0], images)}. Lines are '
                'paths below that folder without ending.'
            )
        return list(data.names)
    names = sorted(name.removesuffix(ending) for name in images if name.endswith(ending))
    if not names:
        raise FileNotFoundError(
            f'{data.option} expects images *{ending} in {data.images}, but there are none; '
            f'{contents(data.images / "x")}. Name the ending with --cfg-options {data.option}.img_suffix=.ENDING.'
        )
    return names


def _instead(name: str, files: Listing) -> str:
    wanted = PurePosixPath(name).name.lower()
    other = next((path for path in files if PurePosixPath(path).stem.lower() == wanted), '')
    return f' ({other} is there)' if other else ''


def _other_endings(data: Pairs, images: Listing) -> list[str]:
    rest = [
        name
        for name in images
        if name.lower().endswith(ENDINGS)
        and not name.endswith(data.image_ending)
        and not (data.labels == data.images and name.endswith(data.label_ending))
    ]
    if not rest:
        return []
    endings = Counter(PurePosixPath(name).suffix for name in rest)
    return [
        f'{data.images}: {count(len(rest), "image")} ({some(rest)}) are left out, as they end in {some(endings)} and '
        f'{data.option} takes {data.image_ending} (img_suffix). Give all the same ending.'
    ]


def _lonely(data: Pairs, names: list[str], labels: Listing) -> list[str]:
    used = {name + data.label_ending for name in names}
    rest = [name for name in labels if name.lower().endswith(ENDINGS) and name not in used]
    if data.labels == data.images:
        rest = [name for name in rest if not name.endswith(data.image_ending)]
    if not rest:
        return []
    return [
        f'{data.labels}: {count(len(rest), "mask")} ({some(rest)}) are left out, as no image *{data.image_ending} '
        'has their name.'
    ]


def _fits(data: Pairs, name: str, image: list, mask: list) -> None:
    place = data.labels / (name + data.label_ending)
    if image != mask[:2]:
        raise ValueError(
            f'The mask {place} has {mask[0]}×{mask[1]} pixels, but its image '
            f'{data.images / (name + data.image_ending)} {image[0]}×{image[1]}. Export both at the same size.'
        )
    last = len(data.classes) - 1
    unknown = [value for value, _ in mask[2] if data.number_of(value) > last and data.number_of(value) != data.ignored]
    if unknown and data.classes:
        first = int(data.zero_is_ignored)
        zero = ', 0 is' if data.zero_is_ignored else ' is'
        known = f'numbered {first} to {last + first} ({data.ignored}{zero} ignored)'
        if data.label_map:
            known = f'which stand for {some(data.label_map, 20)}'
        raise ValueError(
            f'The mask {place} has pixels of value {some(unknown)}, but {data.option} has {len(data.classes)} classes, '
            f'{known}. Complete "classes" in the config, or convert the masks.'
        )


def _values(data: Pairs, facts: dict[str, list]) -> list[str]:
    """What the masks show all together."""
    if not data.classes:
        return []
    pixels: Counter = Counter()
    blank = []
    for name, (*_, values) in facts.items():
        mine = Counter()
        for value, number in values:
            mine[data.number_of(value)] += number
        pixels += mine
        if set(mine) <= {data.ignored}:
            blank.append(name + data.label_ending)
    if len(blank) == len(facts):
        raise ValueError(
            f'All masks in {data.labels} are ignored altogether (value {data.ignored}'
            f'{", and 0" if data.zero_is_ignored else ""}): there is nothing to learn or to score. Convert them.'
        )
    alone = set(pixels) == {0, 255} and data.ignored == 255 and not (data.label_map or data.zero_is_ignored)
    if alone and len(data.classes) > 1:
        raise ValueError(
            f'The masks in {data.labels} hold 0 and 255 alone: 255 is ignored, and no mask has the class '
            f'{data.classes[1]} (1). Write 1 in place of 255 if it is that class.'
        )
    notes = []
    total = sum(pixels.values())
    if pixels[data.ignored]:
        share = pixels[data.ignored] / total
        part = f'{share:.1%}' if share >= 0.001 else 'less than 0.1%'
        notes.append(f'{data.labels}: {part} of the pixels are ignored, as they are of no class.')
    never = [name for number, name in enumerate(data.classes) if not pixels[number]]
    if never:
        notes.append(f'{data.labels}: no mask shows the class {some(never, 8)}.')
    if blank:
        notes.append(f'{data.labels}: {count(len(blank), "mask")} ({some(blank)}) are ignored altogether.')
    return notes
