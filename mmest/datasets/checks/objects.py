"""The annotations of a COCO file: objects that cannot be used are left out, what they lack is filled in."""

from collections import Counter

import numpy as np

from mmest.datasets.checks.boxes import areas_of, around, boxes_of, cut, left_out, refuse_corners, unusable
from mmest.datasets.checks.coco_file import CocoFile, Use, hashable
from mmest.datasets.checks.outlines import readable
from mmest.datasets.checks.report import count


def check_objects(file: CocoFile, use: Use, sizes: dict, numbers: dict) -> None:
    """Look at every object of a file.

    Args:
        file: its annotations are changed in place.
        use: what the data set wants.
        sizes: width and height of the images, by id.
        numbers: of the classes, by id of the category.

    Raises:
        ValueError: what an annotation means is in doubt.
    """
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
    areas = areas_of(annotations)
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
    ids = [hashable(one.get('id')) for one in annotations]
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
