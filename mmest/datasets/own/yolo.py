"""YOLO text files with data.yaml, as Roboflow, ultralytics, CVAT and Label Studio write them."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

import shapely
import yaml

from mmest.datasets.own.results import visible_files
from mmest.datasets.own.sample import (
    CUT,
    Notes,
    OwnData,
    Sample,
    Thing,
    cut_to,
    image_files,
    inside,
    leaves,
    size_of,
    some,
    split_of,
)
from mmest.datasets.own.yolo_images import SPLIT_KEYS, listed_images, text_of, without_steps_up
from mmest.datasets.text import decode

NAME = 'YOLO'
_NAMES_FILES = ('classes.txt', 'obj.names', 'labels.txt')
_NO_LABELS = (*_NAMES_FILES, 'train.txt', 'val.txt', 'valid.txt', 'test.txt', 'readme')


def finds(path: Path) -> bool:
    """Whether there is a data.yaml that names classes, or a list of classes beside text files of labels."""
    if path.is_file():
        return path.suffix.lower() in ('.yaml', '.yml') and _is_data(path)
    if any(_is_data(file) for file in _yamls(path)):
        return True
    return any((path / name).is_file() for name in _NAMES_FILES) and _first_labels(path)


def _yamls(folder: Path) -> list[Path]:
    return sorted([*folder.glob('*.yaml'), *folder.glob('*.yml')], key=lambda file: (file.stem != 'data', file.name))


def almost(path: Path) -> Iterator[str]:
    """Why YAML files that may describe images do not."""
    for file in _yamls(path) if path.is_dir() else [path]:
        if file.suffix.lower() not in ('.yaml', '.yml'):
            continue
        try:
            content = _load(file)
        except (yaml.YAMLError, ValueError) as error:
            yield f'{file} is not valid YAML: {" ".join(str(error).split())}'
            continue
        names, splits = 'names' in content, bool(content.keys() & SPLIT_KEYS)
        if names != splits:
            yield f'{file} has no {"train, val or test" if names else "names of classes"}'


class _AsWritten(yaml.SafeLoader):
    """Values stay the words that are written; only merge keys (<<) are more than that."""

    yaml_implicit_resolvers = {
        '<': [one for one in yaml.SafeLoader.yaml_implicit_resolvers['<'] if one[0].endswith(':merge')]
    }


def _load(file: Path) -> dict:
    text = decode(file.read_bytes())
    content = yaml.safe_load(text)
    if not isinstance(content, dict):
        return {}
    if 'names' in content:  # as they are written: YAML takes yes, no, on and off for true and false
        content['names'] = yaml.load(text, _AsWritten)['names']
    return content


def _is_data(file: Path) -> bool:
    try:
        content = _load(file)
    except (yaml.YAMLError, ValueError):
        return False
    return 'names' in content and bool(content.keys() & SPLIT_KEYS)


def _first_labels(path: Path) -> bool:
    """Whether a text file begins as a label does: a number and four or more."""
    for file in sorted(file for file in visible_files(path) if file.suffix == '.txt'):
        if file.name.lower() in _NO_LABELS:
            continue
        try:
            words = decode(file.read_bytes()).split('\n')[0].split()
        except ValueError:
            continue
        if len(words) >= 5:
            return all(word.replace('.', '', 1).replace('-', '', 1).isdigit() for word in words[:5])
    return False


def read(path: Path) -> OwnData:
    """Read a folder, or a data.yaml.

    Raises:
        FileNotFoundError: a folder that data.yaml names is not there.
        ValueError: a file cannot be read, or a label names a class that is not listed.
    """
    path = without_steps_up(path.absolute())
    root = path.parent if path.is_file() else path
    notes = Notes()
    files = [path] if path.is_file() else [one for one in _yamls(path) if _is_data(one)]
    if len(files) > 1:
        notes.say(f'{files[0].name} is read, and not {some([one.name for one in files[1:]])}: name the file to read it')
    if files:
        file = files[0]
        content = _load(file)
        names, images = _names(content['names'], file), listed_images(content, file, notes)
        points = 'kpt_shape' in content
    else:
        names = _listed_names(next(root / name for name in _NAMES_FILES if (root / name).is_file()))
        images = {one: split_of(*one.relative_to(root).parent.parts) for one in image_files(root)}
        points = False
    if points:
        notes.say('the labels have key points, which are left out')
    classes = list(dict.fromkeys(names))
    if len(classes) < len(names):
        twice = [name for name in classes if names.count(name) > 1]
        notes.say(f'{some(twice)} is the name of several numbers, which are taken for one class')
    samples, outlines = [], False
    elsewhere: set[Path] = set()
    inside_root = all(image.is_relative_to(root) for image in images)
    home = root if inside_root else Path(os.path.commonpath([image.parent for image in images]))
    for image, split in images.items():
        sample = Sample(image, image.relative_to(home).as_posix(), *size_of(image), split=split)
        labels = _labels_of(image)
        if labels is None:
            notes.count('images without a label file, taken as empty', image.name)
        else:
            sample.objects = _things(labels, sample, names, points, notes)
            for one in sample.objects:
                one.label = classes.index(names[one.label])
            outlines |= any(one.shape is not None for one in sample.objects)
        samples.append(sample)
        elsewhere |= {one.parent for one in (image, labels) if one and not one.is_relative_to(root)}
    if elsewhere:
        notes.say(f'images or labels lie outside of {root}: {some(sorted(elsewhere))}')
    labelled = 'outlines' if outlines else 'boxes'
    return OwnData(root, NAME, classes, samples, labelled, notes, elsewhere=sorted(elsewhere))


def _listed_names(file: Path) -> list[str]:
    """A name a line; labels count the lines."""
    names = [line.strip() for line in text_of(file).rstrip().splitlines()]
    if '' in names:
        raise ValueError(
            f'{file} has no name in line {names.index("") + 1}, which labels count all the same. Write one there, or '
            'remove the line if the numbers of the labels are without it.'
        )
    return names


def _names(names: list | dict, file: Path) -> list[str]:
    if isinstance(names, dict):
        by_number = {int(number) if number.isdecimal() else number: name for number, name in names.items()}
        if set(by_number) != set(range(len(names))):
            raise ValueError(
                f'{file} numbers its names {", ".join(names)}; expected 0 to {len(names) - 1} without gaps.'
            )
        names = [by_number[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise ValueError(f'{file} has the names {names!r}; expected a list of classes, or a mapping from numbers.')
    return [str(name) for name in names]


def _labels_of(image: Path) -> Path | None:
    """The label file: in ``labels`` in place of the last ``images`` of the path, as ultralytics has it, or of one
    before, or beside the image.
    """
    parts = image.with_suffix('.txt').parts
    places = reversed([at for at, part in enumerate(parts[:-1]) if part.lower() == 'images'])
    tried = [*(Path(*parts[:at], 'labels', *parts[at + 1 :]) for at in places), Path(*parts)]
    return next((path for path in tried if path.is_file()), None)


def _things(file: Path, sample: Sample, classes: list[str], points: bool, notes: Notes) -> list[Thing]:
    things = []
    for number, line in enumerate(text_of(file).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        place = f'{file}, line {number}'
        try:
            label, values = int(float(words[0])), [float(word) for word in words[1:]]
        except (ValueError, OverflowError):
            raise ValueError(f'{place} is "{line.strip()}"; expected a class and its box or outline.') from None
        if not 0 <= label < len(classes):
            raise ValueError(
                f'{place} names the class {label}, but classes are numbered 0 to {len(classes) - 1}: '
                f'{some(classes)}. Correct the label or complete the names.'
            )
        thing = _thing(label, values[:4] if points else values, sample, place, notes)
        if thing is None:
            notes.count('boxes without area, or outside of their image, left out', f'{file.name}, line {number}')
        else:
            things.append(thing)
    return things


def _thing(label: int, values: list[float], sample: Sample, place: str, notes: Notes) -> Thing | None:
    if not all(map(math.isfinite, values)):
        return None
    if max(values, default=0) > 2:
        raise ValueError(f'{place} has the coordinate {max(values):g}; expected shares of the image, from 0 to 1.')
    width, height = sample.width, sample.height
    if len(values) in (4, 5):  # five: a confidence at the end
        x, y, w, h = values[0] * width, values[1] * height, values[2] * width, values[3] * height
        stated = (x - w / 2, y - h / 2, x + w / 2, y + h / 2)
        box = inside(stated, sample)
        if box and leaves(stated, sample):
            notes.count(CUT, place)
        return Thing(label, box) if box else None
    if len(values) < 6 or len(values) % 2:
        raise ValueError(f'{place} has {len(values)} numbers behind the class; expected 4 of a box, or pairs (x, y).')
    outline = shapely.make_valid(shapely.Polygon([(x * width, y * height) for x, y in zip(values[::2], values[1::2])]))
    outline = cut_to(outline, (0, 0, width, height))
    return Thing(label, outline.bounds, outline) if outline is not None else None
