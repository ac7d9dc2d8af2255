"""Annotation files in COCO format: what cannot be used is refused or left out, what is missing is filled in."""

import re
from collections import Counter
from pathlib import Path

from mmest.datasets.checks.coco_file import CocoFile, Use, hashable, read, require
from mmest.datasets.checks.images import Listing, headers
from mmest.datasets.checks.objects import check_objects
from mmest.datasets.checks.report import contents, count, nearly, some


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
    file = read(path)
    numbers = _categories(file, use)
    sizes = _images(file, folder, files, use)
    check_objects(file, use, sizes, numbers)
    _usage(file, use)
    return file


def _categories(file: CocoFile, use: Use) -> dict:
    """Give the categories the order of the classes, as mmdet numbers labels by it; class numbers by category id."""
    require(file, 'categories', ('id', 'name'))
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
            if hashable(one.get('category_id')) in by_id:
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


def _images(file: CocoFile, folder: Path, files: Listing, use: Use) -> dict:
    """Sizes of the images, (width, height) by id."""
    require(file, 'images', ('id', 'file_name'))
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
    found = headers(folder, files, names, use.reading)
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
        fate = f'count{"s" * (crowds == 1)} neither as object nor as background.'
        if use.trains and not use.knows_ignored:
            fate = 'are learned as background, for the assigner of this detector knows no objects to be ignored.'
        file.say(
            f'{count(crowds, "object")} marked "iscrowd", as crowds and what a border of a tile cuts in two are, {fate}'
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
