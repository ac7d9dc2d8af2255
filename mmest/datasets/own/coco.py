"""COCO JSON, as Roboflow, CVAT, Label Studio and others lay it out."""

import json
from collections.abc import Iterator
from pathlib import Path

from mmest.datasets.checks import coco_file
from mmest.datasets.own.coco_images import Images, named_image
from mmest.datasets.own.coco_objects import add_objects
from mmest.datasets.own.results import visible_files
from mmest.datasets.own.sample import Notes, OwnData, Sample, size_of, some, split_of
from mmest.datasets.text import decode

NAME = 'COCO JSON'
_DEEP = 3  # levels, the folder that was named among them
_PARTS = ('train', 'val', 'valid', 'validation')
_KEYS = ('images', 'annotations', 'categories')


def finds(path: Path) -> bool:
    """Whether there are COCO files."""
    files = _json(path) if path.is_dir() else [path] if path.suffix.lower() == '.json' else []
    return any(_may_be_coco(file) for file in files)


def _without_unions(files: list[Path], notes: Notes) -> list[Path]:
    """Leave out the file of training and validation together, where each has its own."""
    found = []
    for file in files:
        train, *validation = (file.with_name(file.name.replace('trainval', word)) for word in _PARTS)
        if train != file and train in files and any(part in files for part in validation):
            notes.say(f'{file.name} is the training and the validation of other files together, and passed over')
        else:
            found.append(file)
    return found


def _json(folder: Path) -> list[Path]:
    found = (file for file in visible_files(folder, _DEEP) if file.suffix == '.json')
    return sorted(found, key=lambda file: (len(file.parts), file))


def _may_be_coco(path: Path) -> bool:
    """Whether :func:`_is_coco`, without reading files whole that do not have the words."""
    try:
        text = decode(path.read_bytes())
        return all(f'"{key}"' in text for key in _KEYS) and _is_coco(json.loads(text))
    except (ValueError, RecursionError):
        return False


def _is_coco(content: object) -> bool:
    """Judged by the keys: other tools leave JSON files of other kinds beside them."""
    return isinstance(content, dict) and content.keys() >= set(_KEYS)


def almost(path: Path) -> Iterator[str]:
    """Why JSON files that may be COCO's are not."""
    for file in _json(path) if path.is_dir() else [path]:
        if file.suffix.lower() != '.json':
            continue
        try:
            content = _load(file)
        except ValueError as error:
            yield f'{file} is not valid JSON: {error}'
            continue
        lacks = [key for key in _KEYS if key not in content] if isinstance(content, dict) else _KEYS
        if 0 < len(lacks) < len(_KEYS):
            yield f'{file} has no {" and no ".join(map(repr, lacks))}'


def _load(path: Path) -> dict:
    return json.loads(decode(path.read_bytes()))


def _content(file: coco_file.CocoFile) -> dict:
    """What a file holds, with names of categories as text.

    Raises:
        ValueError: it is not in COCO's form.
    """
    coco_file.require(file, 'images', ('id', 'file_name'))
    coco_file.require(file, 'categories', ('id', 'name'))
    names: dict[object, str] = {}
    for category in file.content['categories']:
        category['name'] = str(category['name'])
        if names.setdefault(category['id'], category['name']) != category['name']:
            raise ValueError(
                f'{file.path}: two categories have the id {category["id"]}: {names[category["id"]]} and '
                f'{category["name"]}. Give each an id of its own.'
            )
    for one in file.content['annotations']:
        one.update({key: coco_file.hashable(one.get(key)) for key in ('image_id', 'category_id')})
    return file.content


def read(path: Path) -> OwnData:
    """Read all COCO files of a folder, or one of them.

    Raises:
        FileNotFoundError: most images that they name are not there.
        ValueError: a file contradicts itself, its images or another file.
    """
    root = path.parent if path.is_file() else path
    notes = Notes()
    parsed = {}
    for file in _json(path) if path.is_dir() else [path]:
        content, encoding = coco_file.parse(file)  # a damaged one may be a whole split
        if _is_coco(content):
            parsed[file] = content, encoding
    contents = {file: _content(coco_file.checked(file, *parsed[file])) for file in _without_unions([*parsed], notes)}
    classes = _classes(contents, notes)
    splits = {file: split_of(file.stem) or split_of(*file.relative_to(root).parent.parts) for file in contents}
    named = [
        named_image(image, file, splits[file]) for file, content in contents.items() for image in content['images']
    ]
    find = Images(root, named, notes)
    samples: dict[str, Sample] = {}
    files: dict[str, Path] = {}
    outlines = False
    for file, content in contents.items():
        labels = {
            category['id']: classes.index(category['name'])
            for category in content['categories']
            if category['name'] in classes
        }
        for sample in _samples(file, content, labels, splits[file], find, notes):
            outlines |= any(one.shape is not None for one in sample.objects)
            if sample.name in samples and samples[sample.name].split != sample.split:
                raise ValueError(
                    f'{sample.name} is named by annotation files of two splits ({samples[sample.name].split} and '
                    f'{sample.split}); {file} is the second. Remove it from one of them.'
                )
            if sample.name in samples:
                _join(samples[sample.name], files[sample.name], sample, file, classes, notes)
            else:
                samples[sample.name], files[sample.name] = sample, file
    find.check()
    return OwnData(root, NAME, classes, list(samples.values()), 'outlines' if outlines else 'boxes', notes)


def _join(known: Sample, first: Path, sample: Sample, file: Path, classes: list[str], notes: Notes) -> None:
    """Add the objects of an image that another file, or another entry of the same one, has too.

    Raises:
        ValueError: two files label the same classes on it, as an older copy does.
    """
    if file != first:
        both = {one.label for one in known.objects} & {one.label for one in sample.objects}
        if both:
            raise ValueError(
                f'{first} and {file} both label "{classes[min(both)]}" on {sample.name}, so its objects would be there '
                'twice. Remove one of them.'
            )
        notes.say(
            f'{first.name} and {file.name} label other classes on the same images: their objects are put together'
        )
    there = {(one.label, one.box) for one in known.objects}
    more = [one for one in sample.objects if (one.label, one.box) not in there]
    for _ in range(len(sample.objects) - len(more)):
        notes.count(
            'objects that are there twice, as their image is listed under two ids, of which one is used', known.name
        )
    if file == first and known.objects and more:
        notes.count(
            'images that one file lists under two ids with different objects, which are put together', known.name
        )
    known.objects += more


def _classes(contents: dict[Path, dict], notes: Notes) -> list[str]:
    """Names in the order of their ids. The made-up category that Roboflow puts first is taken out of the contents."""
    used = {one.get('category_id') for content in contents.values() for one in content['annotations']}
    ids: dict[str, int] = {}
    for content in contents.values():
        parents = {one.get('supercategory') for one in content['categories'] if one['id'] != 0}
        for category in list(content['categories']):
            if category['id'] == 0 and 0 not in used and category['name'] in parents:
                content['categories'].remove(category)
                notes.say(f'the category "{category["name"]}" groups the others and labels nothing: it is no class')
            else:
                ids.setdefault(category['name'], category['id'])
    never = [name for name, number in ids.items() if number not in used]
    if never:
        notes.say(f'classes that label nothing: {some(never)}')
    return sorted(ids, key=lambda name: (isinstance(ids[name], str), ids[name]))


def _samples(file: Path, content: dict, labels: dict, split: str | None, find: Images, notes: Notes) -> list[Sample]:
    samples: dict[object, Sample | None] = {}
    for image in content['images']:
        if image['id'] in samples:
            raise ValueError(f'{file} gives the id {image["id"]} to two images. Export it again.')
        samples[image['id']] = _sample(file, image, split, find)
    annotations = []
    if any('score' in one for one in content['annotations']):
        notes.say(f'objects of {file.name} have a score, as predictions do: they are taken for labels')
    for one in content['annotations']:
        if one.get('image_id') not in samples:
            said = f'{file.name}: image {one.get("image_id")}'
            notes.count('annotations of images that the file does not list', said)
        elif samples[one['image_id']]:
            annotations.append(one)
    add_objects(file, annotations, [samples[one['image_id']] for one in annotations], labels, notes)
    return [sample for sample in samples.values() if sample]


def _sample(file: Path, image: dict, split: str | None, find: Images) -> Sample | None:
    """An image without its objects; None where it is not there."""
    path = find.find(named_image(image, file, split))
    if path is None:
        return None
    width, height = size_of(path)
    stated = (image.get('width') or width, image.get('height') or height)
    try:
        same = (int(stated[0]), int(stated[1])) == (width, height)
    except (TypeError, ValueError, OverflowError):  # no numbers at all
        same = False
    if not same:
        raise ValueError(
            f'{file} says that {image["file_name"]} has {stated[0]}×{stated[1]} pixels, but it has '
            f'{width}×{height}: its boxes would be at the wrong places. Export images and labels together.'
        )
    return Sample(path, path.relative_to(find.root).as_posix(), width, height, split=split)
