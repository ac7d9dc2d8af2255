"""Annotation files in COCO format: what cannot be used is refused or left out, what is missing is filled in."""

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmest.datasets.checks.boxes import around, boxes_of, cut, left_out, refuse_corners, unusable
from mmest.datasets.checks.images import Listing, headers
from mmest.datasets.checks.outlines import readable
from mmest.datasets.checks.report import contents, count, nearly, some
from mmest.datasets.text import decode, encoding_of


@dataclass(frozen=True)
class Use:
    """What a data set wants of its annotation file.

    Args:
        option: its key in the config, for messages.
        classes: names in the order of the labels.
        trains: whether images are learned from it; else it is the truth of a score.
        with_masks: whether outlines are needed besides boxes.
        passes_over_empty: whether images without an object are not used.
        scale: the rule for images that have not 8 bits.
    """

    option: str
    classes: Sequence[str]
    trains: bool
    with_masks: bool = False
    passes_over_empty: bool = False
    scale: Sequence[float] | None = None


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


def inspect(path: Path, folder: Path, files: Listing, use: Use) -> CocoFile:
    """Look at every annotation and every image that it names.

    Args:
        path: the annotation file.
        folder: of the images.
        files: what lies in it.
        use: what the data set wants.

    Raises:
        FileNotFoundError: images are missing.
        ValueError: the file or an image cannot be read, or what it means is in doubt.
    """
    file = _read(path)
    numbers = _categories(file, use)
    sizes = _images(file, folder, files, use)
    _annotations(file, use, sizes, numbers)
    _usage(file, use)
    return file


def _read(path: Path) -> CocoFile:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ValueError(f'The annotation file {path} cannot be read: {error.strerror}.') from error
    try:
        content = json.loads(decode(raw))
    except (ValueError, RecursionError) as error:
        raise ValueError(f'{path} is not valid JSON: {error}. Copy or export it again.') from error
    if not isinstance(content, dict) or not all(isinstance(content.get(key), list) for key in ('images', 'categories')):
        raise ValueError(
            f'{path} is not in COCO format, which has the lists "images", "annotations" and "categories". Export it as '
            'COCO JSON, or choose the type of data set that reads it.'
        )
    file = CocoFile(path, content)
    if raw[:3] == b'\xef\xbb\xbf' or encoding_of(raw) != 'utf-8':
        file.change(
            f'is {encoding_of(raw).upper().replace("-SIG", " with a mark")}; the run reads a copy in plain UTF-8.'
        )
    if not isinstance(content.get('annotations', []), list):
        raise ValueError(f'{path}: "annotations" is no list. Export the file again.')
    if 'annotations' not in content:
        content['annotations'] = []
        file.change('has no list "annotations", which is taken for one without objects.')
    for key in ('images', 'categories', 'annotations'):
        if not all(isinstance(one, dict) for one in content[key]):
            raise ValueError(f'{path}: an entry of "{key}" is not an object of JSON. Export the file again.')
    return file


def _require(file: CocoFile, kind: str, keys: Sequence[str]) -> None:
    for number, one in enumerate(file.content[kind]):
        for key in keys:
            if one.get(key) is None or one[key] == '' or isinstance(one[key], (dict, list)):
                raise ValueError(
                    f'{file.path}: entry {number} of "{kind}" (id {one.get("id")}) has no {key}. Add it or export the '
                    'file again.'
                )


def _categories(file: CocoFile, use: Use) -> dict:
    """Give the categories the order of the classes, as mmdet numbers labels by it; class numbers by category id."""
    _require(file, 'categories', ('id', 'name'))
    categories = [dict(one, name=str(one['name'])) for one in file.content['categories']]
    by_id: dict = {}
    for one in categories:
        if by_id.setdefault(one['id'], one['name']) != one['name']:
            raise ValueError(
                f'{file.path}: two categories have the id {one["id"]}: {by_id[one["id"]]} and {one["name"]}. Give each '
                'an id of its own.'
            )
    names = list(dict.fromkeys(one['name'] for one in categories))
    other = [name for name in names if name not in use.classes]
    _refuse_unknown(file.path, names, other, use)
    entries = {one['name']: one for one in reversed(categories)}
    repeated = [name for name, times in Counter(by_id.values()).items() if times > 1]
    if repeated:
        file.change(f'the category {some(repeated)} is there under several ids, which are taken for one.')
        for one in file.content['annotations']:
            if _hashable(one.get('category_id')) in by_id:
                one['category_id'] = entries[by_id[one['category_id']]]['id']
    absent = [name for name in use.classes if name not in names]
    if absent:
        file.change(f'has no category {some(absent)}, of which it then shows no object.')
        spare = max((number for number in by_id if isinstance(number, int)), default=0) + 1
        entries.update((name, dict(id=spare + place, name=name)) for place, name in enumerate(absent))
    if [name for name in names if name in use.classes] != [name for name in use.classes if name in names]:
        file.change(
            f'its categories are in another order than the classes of {use.option}; they are matched by name, and the '
            'run reads a copy in the order of the config.'
        )
    file.content['categories'] = [entries[name] for name in (*use.classes, *other)]
    file.changed |= len(entries) != len(categories)
    return {entries[name]['id']: number for number, name in enumerate((*use.classes, *other))}


def _refuse_unknown(path: Path, names: list[str], other: list[str], use: Use) -> None:
    """A class that is missing is spelt differently, unless the file has no name but those of the config."""
    absent = [name for name in use.classes if name not in names]
    if not absent or (not other and len(absent) < len(use.classes)):
        return
    hints = [f'"{known}" instead of "{name}"' for name in absent if (known := nearly(name, other))]
    hint = f' ({some(hints)})' if hints else ''
    raise ValueError(
        f'{path} has the classes {some(names, 12) or "(none)"}, but {use.option} asks for {some(absent)}, which is not '
        f'among them{hint}: its boxes would be left out. Correct "classes" in the config; the names must match exactly.'
    )


def _hashable(value: object) -> object:
    return None if isinstance(value, (dict, list)) else value


def _images(file: CocoFile, folder: Path, files: Listing, use: Use) -> dict:
    """Sizes of the images, (width, height) by id."""
    _require(file, 'images', ('id', 'file_name'))
    images = file.content['images']
    if not images:
        raise ValueError(f'{file.path} names no image. Export it again.')
    times = Counter(one['id'] for one in images)
    if len(times) < len(images):
        number = times.most_common(1)[0][0]
        names = [one['file_name'] for one in images if one['id'] == number]
        raise ValueError(
            f'{file.path}: the image id {number} is there {len(names)} times, for {some(names)}: whose its objects are '
            'is in doubt. Give each image an id of its own.'
        )
    turned = 0
    for one in images:
        if not _is_name(one['file_name']):
            name = ascii(one['file_name'])
            raise ValueError(f'{file.path}: image {one["id"]} has the file_name {name}. Expected the name of a file.')
        if '\\' in one['file_name'] and one['file_name'] not in files:
            one['file_name'] = one['file_name'].replace('\\', '/')
            turned += 1
    if turned:
        file.change(f'{count(turned, "file name")} with \\ between folders are read with /.')
    names = [one['file_name'] for one in images]
    missing = [name for name in names if name not in files and not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f'{file.path} names {len(names)} images, of which {len(missing)} are not in {folder}: {some(missing)}'
            f'{_instead(missing, folder, files)}. Complete the folder, or name the right one with --cfg-options '
            f'{use.option}.data_prefix.img=FOLDER.'
        )
    repeated = [name for name, number in Counter(names).items() if number > 1]
    if repeated:
        file.say(
            f'{count(len(repeated), "image")} ({some(repeated)}) are named under several ids: each counts as an image.'
        )
    found = headers(folder, files, names, use.scale)
    _sizes(file, folder, found)
    return {one['id']: (one['width'], one['height']) for one in images}


def _is_name(value: object) -> bool:
    """Whether a file may be called so: halves of characters and zeros, as damaged files hold, are no names."""
    return isinstance(value, str) and '\0' not in value and not re.search('[\ud800-\udfff]', value)


def _instead(missing: list[str], folder: Path, files: Listing) -> str:
    """Where the first of the missing images may be."""
    by_stem = {Path(name).with_suffix('').as_posix().lower(): name for name in files}
    by_name = {Path(name).name.lower(): name for name in files}
    wanted = Path(missing[0])
    other = by_stem.get(wanted.with_suffix('').as_posix().lower()) or by_name.get(wanted.name.lower())
    return f' ({other} is there)' if other else f'; {contents(folder / "x")}' if not files else ''


def _sizes(file: CocoFile, folder: Path, found: dict[str, list]) -> None:
    filled = 0
    for one in file.content['images']:
        width, height = found[one['file_name']]
        stated = [one.get('width'), one.get('height')]
        if stated == [width, height]:
            continue
        if all(isinstance(side, (int, float)) and side > 0 for side in stated):
            raise ValueError(
                f'{folder / one["file_name"]} has {width}×{height} pixels, but {file.path} says {stated[0]}×{stated[1]}'
                f' (image id {one["id"]}): its boxes may be of another copy. Correct the file, or put the right image '
                'there.'
            )
        one['width'], one['height'] = width, height
        filled += 1
    if filled:
        file.change(f'width and height of {count(filled, "image")} are filled in from the image files.')


def _annotations(file: CocoFile, use: Use, sizes: dict, numbers: dict) -> None:
    annotations = file.content['annotations']
    if not annotations:
        return
    _as_numbers(file, 'image_id', sizes)
    _as_numbers(file, 'category_id', numbers)
    outlined = 0
    for one in annotations:
        if not one.get('bbox') and (box := around(one.get('segmentation'))):
            one['bbox'] = box
            outlined += 1
    if outlined:
        file.change(f'the bbox of {count(outlined, "object")} was missing: taken from the outline.')
    ids = [one.get('id') for one in annotations]
    boxes = boxes_of(annotations, file.path)
    nowhere = (np.nan, np.nan)
    frame = np.array([sizes.get(one.get('image_id'), nowhere) for one in annotations], float)
    areas = np.array([_positive(one.get('area')) for one in annotations])
    refuse_corners(boxes, frame, areas, ids, file.path)
    orphans = np.array([one.get('image_id') not in sizes for one in annotations])
    homeless = np.array([one.get('category_id') not in numbers for one in annotations]) & ~orphans
    reasons = {
        'name an image that the file does not have': orphans,
        'name a category that the file does not have': homeless,
        **{reason: mask & ~orphans & ~homeless for reason, mask in unusable(boxes, frame).items()},
    }
    if use.with_masks:
        taken = np.any(list(reasons.values()), axis=0)
        reasons |= {reason: mask & ~taken for reason, mask in _outlines(file, sizes).items()}
    reasons = {reason: mask for reason, mask in reasons.items() if mask.any()}
    for sentence in left_out(ids, reasons, file.path):
        file.notes.append(sentence)
        file.changed = True
    kept = ~np.any([np.zeros(len(ids), bool), *reasons.values()], axis=0)
    _complete(file, kept, boxes, frame, areas)


def _outlines(file: CocoFile, sizes: dict) -> dict[str, np.ndarray]:
    """Leave out polygons that cannot be read; which annotations have no outline that can, by reason."""
    annotations, unread, parts = file.content['annotations'], {}, 0
    for number, one in enumerate(annotations):
        if one.get('image_id') not in sizes:
            continue
        given = one.get('segmentation')
        outline, reason = readable(given, sizes[one['image_id']])
        if reason:
            unread.setdefault(reason, np.zeros(len(annotations), bool))[number] = True
        elif outline != given:
            parts += len(given) - len(outline)
            one['segmentation'] = outline
    if parts:
        file.change(f'{count(parts, "polygon")} of outlines cannot be read and are left out; the rest of each is used.')
    return unread


def _as_numbers(file: CocoFile, key: str, known: dict) -> None:
    """An id is not a text where the ids that it refers to are numbers, or the reverse."""
    by_text = {str(other): other for other in known}
    for one in file.content['annotations']:
        value = one.get(key)
        if isinstance(value, (dict, list)):
            raise ValueError(f'{file.path}: annotation {one.get("id")} has the {key} {value!r}. Expected one id.')
        if value is not None and value not in known and str(value) in by_text:
            raise ValueError(
                f'{file.path}: annotation {one.get("id")} has the {key} {value!r}, but what it names has the id '
                f'{by_text[str(value)]!r}: a number here and a text there. Write both as numbers.'
            )


def _positive(area: object) -> float:
    return float(area) if isinstance(area, (int, float)) and area > 0 and np.isfinite(area) else np.nan


def _complete(file: CocoFile, kept: np.ndarray, boxes: np.ndarray, frame: np.ndarray, areas: np.ndarray) -> None:
    inside, beyond = cut(boxes, frame)
    annotations = file.content['annotations']
    crowd = 0
    for number in np.flatnonzero(kept & np.isnan(areas)):
        annotations[number]['area'] = float(inside[number, 2] * inside[number, 3])
    # An outline stays as it is, and its box with it.
    beyond &= kept & np.array([not one.get('segmentation') for one in annotations])
    for number in np.flatnonzero(beyond):
        annotations[number]['bbox'] = inside[number].tolist()
    for one in annotations:
        value = one.get('iscrowd')
        if value not in (0, 1):
            if value not in (None, '0', '1'):
                raise ValueError(
                    f'{file.path}: annotation {one.get("id")} has iscrowd {value!r}. Expected 0 or 1 (an area that '
                    'counts neither as object nor as background).'
                )
            one['iscrowd'] = int(value or 0)
            crowd += 1
    filled = int((kept & np.isnan(areas)).sum())
    if filled:
        file.change(f'the area of {count(filled, "object")} was missing or not positive: taken from the box.')
    if crowd:
        file.change(f'iscrowd of {count(crowd, "object")} was missing: taken as 0.')
    if beyond.any():
        file.change(f'boxes that reach beyond their image are cut to it: {beyond.sum()} of {len(boxes)}.')
    file.content['annotations'] = [one for one, stays in zip(annotations, kept) if stays]
    _ids(file)


def _ids(file: CocoFile) -> None:
    """Ids are unique, and none is 0, which COCO's metric takes for "not found"."""
    annotations = file.content['annotations']
    ids = [_hashable(one.get('id')) for one in annotations]
    times = Counter(ids)
    reasons = {
        'are missing': None in times,
        'are text': any(isinstance(one, str) for one in times),
        "contain 0, which COCO's metric takes for no object": 0 in times,
        f'repeat, such as {times.most_common(1)[0][0] if times else ""}': len(times) < len(ids) and None not in times,
    }
    wrong = [reason for reason, holds in reasons.items() if holds]
    if wrong:
        file.change(f'annotation ids {" and ".join(wrong)}: they are numbered anew.')
        for number, one in enumerate(annotations, start=1):
            one['id'] = number


def _usage(file: CocoFile, use: Use) -> None:
    """What of the file is used, and what not."""
    names = {one['id']: one['name'] for one in file.content['categories']}
    wanted = set(use.classes)
    objects = Counter(names[one['category_id']] for one in file.content['annotations'])
    foreign = {name: number for name, number in objects.items() if name not in wanted}
    if foreign:
        file.say(
            f'{count(sum(foreign.values()), "object")} of classes that {use.option} does not name are left out: '
            f'{some(foreign, 8)}.'
        )
    places = Counter((one['image_id'], one['category_id'], *one['bbox']) for one in file.content['annotations'])
    if twice := len(file.content['annotations']) - len(places):
        file.say(
            f'{count(twice, "object")} {"is" if twice == 1 else "are"} there more than once (image, class and box); '
            'each counts.'
        )
    ignored = sum(bool(one.get('ignore')) for one in file.content['annotations'])
    if ignored:
        file.say(f'{count(ignored, "object")} marked "ignore" {"is" if ignored == 1 else "are"} left out.')
    crowds = sum(bool(one['iscrowd']) for one in file.content['annotations'])
    if crowds:
        file.say(
            f'{count(crowds, "object")} marked "iscrowd", as crowds and what a border of a tile cuts in two are, '
            f'count{"s" * (crowds == 1)} neither as object nor as background.'
        )
    learned = [
        one
        for one in file.content['annotations']
        if names[one['category_id']] in wanted and not one.get('ignore') and not one['iscrowd']
    ]
    if not learned:
        said = f'{file.path}: no image has an object of the classes {some(use.classes, 8)}'
        if use.trains:
            raise ValueError(f'{said}, so there is nothing to learn. Export it again, or correct the classes.')
        file.notes.append(f'{said}: the score of {use.option} will be -1 or nan.')
        return
    never = [name for name in use.classes if not objects[name]]
    if never:
        file.say(f'no object is of the class {some(never, 8)}.')
    empty = len(file.content['images']) - len({one['image_id'] for one in learned})
    if empty and use.trains:
        fate = 'training passes them over' if use.passes_over_empty else 'they are learned as background'
        file.say(f'{empty} of {len(file.content["images"])} images show no object: {fate}.')
