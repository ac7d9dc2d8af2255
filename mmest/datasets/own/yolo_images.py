"""The images that the data.yaml of YOLO names."""

import os
from collections.abc import Iterable
from pathlib import Path

from mmest.datasets.own.sample import SPLITS, Notes, image_files, some, split_of
from mmest.datasets.text import decode
from mmest.pictures.formats import ENDINGS

_YAML_SPLITS = dict(train=('train',), val=('val', 'valid', 'validation'), test=('test',))
#: What data.yaml may call its splits.
SPLIT_KEYS = {key for keys in _YAML_SPLITS.values() for key in keys}


def text_of(file: Path) -> str:
    """What a text file holds.

    Raises:
        ValueError: it is in no known encoding.
    """
    try:
        return decode(file.read_bytes())
    except ValueError as error:
        raise ValueError(f'{file} {error}. Save it as UTF-8.') from error


def listed_images(content: dict, file: Path, notes: Notes) -> dict[Path, str]:
    """Images and their splits, of what train, val and test name: folders, lists of files, or several of them."""
    named = [
        (split, key, entry) for split in SPLITS for key in _YAML_SPLITS[split] for entry in _entries(content.get(key))
    ]
    above = not _lie_beside((entry for _, _, entry in named), file)
    found: list[tuple[str, list[Path]]] = []
    for split, key, entry in named:
        tried = _places(entry, str(content.get('path') or ''), file, above)
        place = next((path for path in tried if path.exists()), None)
        if place is None and split == 'train':
            raise FileNotFoundError(
                f'{file} names "{entry}" as {key}, which is not there; tried {some(list(map(str, tried)))}. '
                'Correct the path, or put the folder beside the file.'
            )
        if place is None:  # Roboflow names test whether or not it exports one
            notes.say(f'{file.name} names "{entry}" as {key}, which is not there')
        else:
            place = without_steps_up(place)
            listed = image_files(place) if place.is_dir() else _list_file(place)
            found.append((split, list(map(without_steps_up, listed))))
    images: dict[Path, str] = {}
    for split, listed in sorted(found, key=lambda one: len(one[1])):  # images/val counts more than all of images
        for image in listed:
            if images.setdefault(image, split) != split:
                what = f'images that {file.name} names for two splits, taken for the one with fewer, or else the first'
                notes.count(what, image.name)
    if not images:
        raise FileNotFoundError(f'The folders that {file} names hold no image (endings: {", ".join(ENDINGS)}).')
    return images


def _entries(said: object) -> list[str]:
    return [str(entry) for entry in ([said] if isinstance(said, (str, int, float)) else said or [])]


def without_steps_up(path: Path) -> Path:
    """A path without ``..``, so that it can be seen in what folder it lies; links in it stay where they can, as labels
    may lie beside them.
    """
    plain = Path(os.path.normpath(path))
    return plain if plain == path or plain.exists() and plain.samefile(path) else path.resolve()


def _places(entry: str, base: str, file: Path, above: bool) -> list[Path]:
    """Where a path of data.yaml may lead. Tools write it relative to the file, to its ``path``, to the folder above (as
    Roboflow does, although the images lie beside the file), or as an absolute path of another machine.

    Args:
        entry: the path.
        base: what the file states as ``path``.
        file: the data.yaml.
        above: whether a path that begins with steps up leads there, where the same folders may lie beside the file.
    """
    parts = _without_steps(entry)
    ends = [parts[skipped:] for skipped in range(len(parts))]
    ends = [end for end in ends if split_of(*end) == split_of(*parts)]  # "images" alone is not the training's
    home = file.parent
    places = [home.joinpath(*end) for end in ends]
    if above or not _steps_up(entry):
        places = [*([home / base / entry] if base else []), home / entry, *places]
    return list(dict.fromkeys(places))


def _without_steps(entry: str) -> list[str]:
    return [part for part in entry.replace('\\', '/').split('/') if part not in ('', '.', '..')]


def _steps_up(entry: str) -> bool:
    return entry.replace('\\', '/').startswith('../')


def _lie_beside(entries: Iterable[str], file: Path) -> bool:
    """Whether a folder that is named by steps up lies beside the file, as in exports of Roboflow: what is above may be
    another data set.
    """
    folders = filter(None, map(_without_steps, filter(_steps_up, entries)))
    return any(file.parent.joinpath(*parts).exists() for parts in folders)


def _list_file(file: Path) -> list[Path]:
    """The images that a text file lists."""
    found = []
    for line in filter(None, map(str.strip, text_of(file).splitlines())):
        line = line.replace('\\', '/').removeprefix('./')
        parts = [part for part in line.split('/') if part]
        tried = [file.parent / line, *(file.parent.joinpath(*parts[skipped:]) for skipped in range(len(parts)))]
        path = next((one for one in tried if one.is_file()), None)
        if path is None:
            raise FileNotFoundError(f'{file} lists the image {line}, which is not there. Put it beside the list.')
        found.append(path)
    return found
