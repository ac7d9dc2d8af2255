"""COCO JSON, as Roboflow, CVAT, Label Studio and others lay it out."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import shapely
from pycocotools import mask as mask_tools
from shapely import affinity

from mmest.datasets.checks import coco_file
from mmest.datasets.checks.boxes import areas_of, boxes_of, cut, left_out, refuse_corners
from mmest.datasets.checks.outlines import SHORT, readable
from mmest.datasets.own.results import visible_files
from mmest.datasets.own.sample import Notes, OwnData, Sample, Thing, image_files, inside, size_of, some, split_of
from mmest.datasets.text import decode

NAME = 'COCO JSON'
_DEEP = 3  # levels, the folder that was named among them
_PARTS = ('train', 'val', 'valid', 'validation')
_KEYS = ('images', 'annotations', 'categories')


def finds(path: Path) -> bool:
    """Whether there are COCO files."""
    return bool(_files(path))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == '.json' and _is_coco(path) else []
    return [file for file in _json(path) if _is_coco(file)]


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


def _is_coco(path: Path) -> bool:
    """Judged by the keys: other tools leave JSON files of other kinds beside them."""
    try:
        content = _load(path)
    except ValueError:
        return False
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


def _content(path: Path) -> dict:
    """A file in COCO's form, with names of categories as text.

    Raises:
        ValueError: it has another form.
    """
    file = coco_file.read(path)
    coco_file.require(file, 'images', ('id', 'file_name'))
    coco_file.require(file, 'categories', ('id', 'name'))
    for category in file.content['categories']:
        category['name'] = str(category['name'])
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
    for file in _json(path) if path.is_dir() else []:
        try:
            _load(file)
        except ValueError as error:  # which may be a whole split
            raise ValueError(f'{file} is not valid JSON: {error}. Copy or export it again.') from error
    contents = {file: _content(file) for file in _without_unions(_files(path), notes)}
    classes = _classes(contents, notes)
    find = _Images(root, notes)
    samples: dict[str, Sample] = {}
    files: dict[str, Path] = {}
    outlines = False
    for file, content in contents.items():
        split = split_of(file.stem) or split_of(*(part for part in file.relative_to(root).parent.parts))
        labels = {
            category['id']: classes.index(category['name'])
            for category in content['categories']
            if category['name'] in classes
        }
        for sample in _samples(file, content, labels, split, find, notes):
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
    known.objects += sample.objects


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


class _Images:
    """Finds image files by the names that annotation files give them."""

    def __init__(self, root: Path, notes: Notes) -> None:
        self.root, self._notes = root, notes
        self._files = image_files(root)
        self._by_path = {path.relative_to(root).as_posix(): path for path in self._files}
        self._by_name: dict[str, list[Path]] = {}
        for path in self._files:
            self._by_name.setdefault(path.name, []).append(path)
        self._missing: list[str] = []
        self._used: set[Path] = set()

    def find(self, name: str, file: Path, split: str | None) -> Path | None:
        """The file, looked for where tools put images; None is counted as missing."""
        name = name.replace('\\', '/').split('?')[0]
        here = file.parent.relative_to(self.root)
        folders = [here, Path('.'), Path('images'), here / 'images']
        words = [split, file.stem.removeprefix('instances_'), dict(val='valid').get(split or '')]
        folders += [folder / word for word in words if word for folder in (Path('images'), Path('.'))]
        for folder in folders:
            path = self._by_path.get((folder / name).as_posix())
            if path:
                break
        else:
            same = self._by_name.get(Path(name).name, [])
            if len(same) > 1:
                raise ValueError(
                    f'{file} names the image {name}, and there are {len(same)} of that name: '
                    f'{some([str(path.relative_to(self.root)) for path in same])}. Write the path below the folder.'
                )
            path = same[0] if same else None
        if path is None:
            self._missing.append(name)
        else:
            self._used.add(path)
        return path

    def check(self) -> None:
        """Say what is missing and what is not labelled."""
        if len(self._missing) > len(self._used):
            raise FileNotFoundError(
                f'{len(self._missing)} of {len(self._missing) + len(self._used)} images that the annotations name are '
                f'not below {self.root}: {some(self._missing)}. Put them there, as the export has them.'
            )
        for name in self._missing:
            self._notes.count('images that are named but not there', name)
        for path in self._files:
            if path not in self._used:
                self._notes.count('images that no annotation file names, left out', path.name)


def _samples(file: Path, content: dict, labels: dict, split: str | None, find: _Images, notes: Notes) -> list[Sample]:
    samples: dict[object, Sample | None] = {}
    for image in content['images']:
        if image['id'] in samples:
            raise ValueError(f'{file} gives the id {image["id"]} to two images. Export it again.')
        samples[image['id']] = _sample(file, image, split, find)
    annotations = []
    for one in content['annotations']:
        if one.get('image_id') not in samples:
            said = f'{file.name}: image {one.get("image_id")}'
            notes.count('annotations of images that the file does not list', said)
        elif samples[one['image_id']]:
            annotations.append(one)
    _add_objects(file, annotations, [samples[one['image_id']] for one in annotations], labels, notes)
    return [sample for sample in samples.values() if sample]


def _sample(file: Path, image: dict, split: str | None, find: _Images) -> Sample | None:
    """An image without its objects; None where it is not there."""
    path = find.find(str(image['file_name']), file, split)
    if path is None:
        return None
    width, height = size_of(path)
    stated = (image.get('width') or width, image.get('height') or height)
    if (int(stated[0]), int(stated[1])) != (width, height):
        raise ValueError(
            f'{file} says that {image["file_name"]} has {stated[0]}×{stated[1]} pixels, but it has '
            f'{width}×{height}: its boxes would be at the wrong places. Export images and labels together.'
        )
    return Sample(path, path.relative_to(find.root).as_posix(), width, height, split=split)


def _add_objects(file: Path, annotations: list[dict], samples: list[Sample], labels: dict, notes: Notes) -> None:
    """Give samples their objects.

    Args:
        file: for messages.
        annotations: of images that are there.
        samples: the image of each.
        labels: class numbers by category.
        notes: what is left out is counted here.

    Raises:
        ValueError: what an annotation means is in doubt, or more than half of the outlines cannot be read.
    """
    ids = [one.get('id') for one in annotations]
    for one in annotations:
        one['bbox'] = _numbers(one.get('bbox'))
    boxes = boxes_of(annotations, file)
    turns = np.array([_turn(one) for one in annotations])
    sizes = np.array([(sample.width, sample.height) for sample in samples], float).reshape(-1, 2)
    # A turned rectangle may reach beyond its image before it is turned.
    straight = np.where((turns == 0)[:, None], boxes, np.nan)
    refuse_corners(straight, sizes, areas_of(annotations), ids, file)
    beyond = cut(straight, sizes)[1]
    unread: dict[str, np.ndarray] = {}
    for number, (one, sample) in enumerate(zip(annotations, samples)):
        place = f'annotation {one.get("id")} of {sample.name}'
        if one.get('category_id') not in labels:
            raise ValueError(
                f'{file}: {place} has the category {one.get("category_id")}, which is not among {sorted(labels)}. '
                'Export it again.'
            )
        given = one.get('segmentation')
        outline, reason = readable(given, (sample.width, sample.height))
        if given and reason:
            unread.setdefault(reason, np.zeros(len(ids), bool))[number] = True
            notes.count(f'objects that {reason}, of which the box is used', place)
        elif given and len(outline) < len(given):
            notes.count('outlines of which some polygons cannot be read and are left out', place)
        thing = _thing(labels[one['category_id']], boxes[number], outline, turns[number], sample)
        if thing is None:
            notes.count('boxes without area, or outside of their image, left out', place)
            continue
        if beyond[number]:
            notes.count('boxes that reach beyond their image, cut to it', place)
        if turns[number]:
            notes.count('turned rectangles (rotation), read as their outlines', place)
        thing.ignore = bool(one.get('iscrowd'))
        if thing.ignore:
            notes.count('crowd regions (iscrowd), neither object nor background', place)
        sample.objects.append(thing)
    # Points and lines in place of an outline are what some tools write for boxes.
    outlined = np.array([bool(one.get('segmentation')) for one in annotations], bool)
    wrong = {reason: mask[outlined] for reason, mask in unread.items() if reason != SHORT}
    left_out([one.get('id') for one in annotations if one.get('segmentation')], wrong, file)


def _numbers(box: object) -> object:
    """A box whose numbers may be written as text; anything else as it is."""
    try:
        return [float(value) for value in box] if isinstance(box, list) else box
    except (TypeError, ValueError):
        return box


def _turn(one: dict) -> float:
    """By how many degrees CVAT turned a rectangle about its middle: clockwise, and written beside the straight one."""
    attributes = one.get('attributes')
    turn = attributes.get('rotation') if isinstance(attributes, dict) and not one.get('segmentation') else None
    return float(turn) if isinstance(turn, (int, float)) and math.isfinite(turn) else 0.0


def _thing(label: int, box: np.ndarray, given: list | dict | None, turn: float, sample: Sample) -> Thing | None:
    """An object, None where nothing of it is on the image.

    Args:
        label: its class number.
        box: x, y, width, height, NaN where there is none.
        given: polygons or runs that can be read.
        turn: degrees by which the box is turned.
        sample: its image.
    """
    x, y, width, height = box.tolist()
    corners = (x, y, x + width, y + height)
    outline = _outline_of_runs(given) if isinstance(given, dict) else _outline_of(given or [])
    if turn and min(width, height) > 0:
        outline = affinity.rotate(shapely.box(*corners), turn)
        corners = outline.bounds
    elif outline is not None and np.isnan(box).all():
        corners = outline.bounds
    corners = inside(corners, sample)
    return Thing(label, corners, outline) if corners else None


def _outline_of(polygons: list) -> shapely.Geometry | None:
    """Polygons x1, y1, x2, y2, ... as one outline; None where none has an area."""
    found = [shapely.make_valid(shapely.Polygon(np.reshape(flat, (-1, 2)))) for flat in polygons]
    found = [polygon for polygon in found if polygon.area > 0]
    return shapely.union_all(found) if found else None


def _outline_of_runs(rle: dict) -> shapely.Geometry | None:
    """A mask of run lengths as one outline, exact to the pixel."""
    if isinstance(rle['counts'], list):
        rle = mask_tools.frPyObjects(rle, *rle['size'])
    mask = np.pad(mask_tools.decode(rle), ((1, 1), (0, 0))).astype(np.int8)
    columns, starts = np.nonzero((np.diff(mask, axis=0) == 1).T)
    _, ends = np.nonzero((np.diff(mask, axis=0) == -1).T)
    return shapely.union_all(shapely.box(columns, starts, columns + 1, ends)) if len(columns) else None
