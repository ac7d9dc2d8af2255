"""A file in COCO format that is looked at, and what a data set wants of it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmest.datasets.text import decode, encoding_of
from mmest.pictures.reading import Reading


@dataclass(frozen=True)
class Use:
    """What a data set wants of its annotation file.

    Args:
        option: its key in the config, for messages.
        classes: names in the order of the labels.
        trains: whether images are learned from it; else it is the truth of a score.
        with_masks: whether outlines are needed besides boxes.
        passes_over_empty: whether images without an object are not used.
        reading: how the config has images read.
        knows_ignored: whether training tells objects that are to be ignored from background.
    """

    option: str
    classes: Sequence[str]
    trains: bool
    with_masks: bool = False
    passes_over_empty: bool = False
    reading: Reading = field(default_factory=Reading)
    knows_ignored: bool = True


@dataclass
class CocoFile:
    """An annotation file under inspection; its content is what the run will read.

    Args:
        path: the file, which is never changed.
        content: its JSON.
        notes: what was filled in or left out.
        changed: whether the content differs from the file.
    """

    path: Path
    content: dict
    notes: list[str] = field(default_factory=list)
    changed: bool = False

    def say(self, what: str) -> None:
        self.notes.append(f'{self.path}: {what}')

    def change(self, what: str) -> None:
        self.say(what)
        self.changed = True


def parse(path: Path) -> tuple[Any, str]:
    """What a JSON file holds, and its encoding.

    Raises:
        ValueError: it cannot be read, or is no JSON.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ValueError(f'The annotation file {path} cannot be read: {error.strerror}.') from error
    try:
        return json.loads(decode(raw)), encoding_of(raw)
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path} is not valid JSON: {error}. Copy or export it again.') from error


def read(path: Path) -> CocoFile:
    """The file as mmdet will read it, with a list "annotations" and in plain UTF-8.

    Raises:
        ValueError: it cannot be read, or is not in COCO format.
    """
    return checked(path, *parse(path))


def checked(path: Path, content: Any, encoding: str) -> CocoFile:
    """As :func:`read`, of what was parsed.

    Raises:
        ValueError: it is not in COCO format.
    """
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in ('images', 'categories')):
        raise ValueError(
            f'{path} is not in COCO format, which has the lists "images", "annotations" and "categories". Export it as '
            'COCO JSON, or choose the type of data set that reads it.'
        )
    file = CocoFile(path, content)
    if encoding != 'utf-8':
        file.change(f'is {encoding.upper().replace("-SIG", " with a mark")}; the run reads a copy in plain UTF-8.')
    if not isinstance(content.get('annotations', []), list):
        raise ValueError(f'{path}: "annotations" is no list. Export the file again.')
    if 'annotations' not in content:
        content['annotations'] = []
        file.change('has no list "annotations", which is taken for one without objects.')
    for key in ('images', 'categories', 'annotations'):
        if not all(isinstance(one, dict) for one in content[key]):
            raise ValueError(f'{path}: an entry of "{key}" is not an object of JSON. Export the file again.')
    return file


def require(file: CocoFile, kind: str, keys: Sequence[str]) -> None:
    """Refuse a file in which an entry of the list ``kind`` has no value under one of the keys.

    Raises:
        ValueError: names the first such entry.
    """
    for number, one in enumerate(file.content[kind]):
        for key in keys:
            if one.get(key) is None or one[key] == '' or isinstance(one[key], (dict, list)):
                raise ValueError(
                    f'{file.path}: entry {number} of "{kind}" (id {one.get("id")}) has no {key}. Add it or export the '
                    'file again.'
                )


def hashable(value: object) -> object:
    """An id as it is, None of a list or an object of JSON, which is no id."""
    return None if isinstance(value, (dict, list)) else value
