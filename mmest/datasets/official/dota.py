"""DOTA v1.0: 15 classes, four corners an object, images of up to 20 000 pixels a side, cut into patches.

Patches of 1024 pixels that overlap by 200 for configs/_base_/datasets/dota_detection.py and dota_oriented.py.

SOURCE, as published (images and labels in zip archives or not; horizontal labels are made here):
    train/images/*.png    train/labelTxt/*.txt
    val/images/*.png      val/labelTxt/*.txt
    test/images/*.png

OUT, about 60 GB:
    {train,val,test}/<image>__<x>__<y>.png
    annotations/{train,val,test}_patches.json     what each patch shows, with corners; pieces of objects and
                                                  difficult ones are ignored
    annotations/{train,val,test}_images.json      the whole images, which scores are about

Example:
    mmest data prepare dota ~/Downloads/DOTA data/dota
"""

import math
import re
from pathlib import Path

from mmest.datasets.dota.patches import OVERLAP, SIZE, patch_name, patch_objects
from mmest.datasets.preparation.choice import one_each
from mmest.datasets.preparation.coco import annotation, clip, has_no_area, horizontal, write_coco
from mmest.datasets.preparation.images import crop, open_image, write_png
from mmest.datasets.preparation.problems import DamagedInput, Problem
from mmest.datasets.preparation.source import SourceFile
from mmest.datasets.preparation.work import Done, Job
from mmest.datasets.text import decode
from mmest.tiles.grid import tiles

TITLE, VERSION, UNIT = 'DOTA v1.0', 4, 'objects'
CLASSES = (
    'plane',
    'baseball-diamond',
    'bridge',
    'ground-track-field',
    'small-vehicle',
    'large-vehicle',
    'ship',
    'tennis-court',
    'basketball-court',
    'storage-tank',
    'soccer-ball-field',
    'roundabout',
    'harbor',
    'swimming-pool',
    'helicopter',
)
OFFICIAL = dict(train=dict(images=1411, objects=98990), val=dict(images=458, objects=28853), test=dict(images=937))
# Of an object, in sides of its image.
_LARGEST = 3
# Annotations of other versions, and the rectangles around the oriented boxes, which are made here.
_OTHER_LABELS = re.compile(r'v1\.5|v2\.0|hbb|reclabel|task2', re.IGNORECASE)


def plan(files: list[SourceFile]) -> tuple[list[Job], list[Problem]]:
    problems: list[Problem] = []
    pictures = {split: _of(files, split, '.png', problems) for split in OFFICIAL}
    if not any(pictures.values()):
        raise ValueError(
            'No pictures were found: DOTA has train, val and test, each with images/*.png, and labelTxt/*.txt '
            'in the first two.'
        )
    jobs = []
    for split, found in pictures.items():
        labels = _of(files, split, '.txt', problems) if split != 'test' else {}
        for key, picture in found.items():
            label = labels.get(key)
            if picture and (label or split == 'test'):
                jobs.append(Job(key, split, picture, label))
            elif picture and key not in labels:
                problems.append(
                    Problem(picture.place, f'has no annotation {key}.txt in {split}; the picture is left out')
                )
        problems += [
            Problem(file.place, f'has no picture {key}.png in {split}')
            for key, file in labels.items()
            if file and key not in found
        ]
    return jobs, problems


def _of(files: list[SourceFile], split: str, ending: str, problems: list[Problem]) -> dict[str, SourceFile | None]:
    found = (
        (file.stem, file)
        for file in files
        if split in map(str.lower, file.parts)
        and file.suffix == ending
        and re.fullmatch(r'P\d+', file.stem)
        and not _OTHER_LABELS.search(file.name)
    )
    return one_each(found, {'images', 'labeltxt', 'labeltxt-v1.0'}, problems)


def convert(job: Job, out: Path) -> Done:
    done = Done(counts=dict(images=1))
    with open_image(job.picture, out) as picture:
        objects = _read_labels(job.label, picture.size, done) if job.label else []
        boxes = tiles(*picture.size, SIZE, OVERLAP)
        for box in boxes:
            write_png(out / job.split / patch_name(job.key, box), crop(picture, box))
        image = dict(file_name=f'{job.key}.png', width=picture.width, height=picture.height)
    done.outputs = [f'{job.split}/{patch_name(job.key, box)}' for box in boxes]
    patches = [
        dict(
            image=dict(file_name=patch_name(job.key, box), width=box[2] - box[0], height=box[3] - box[1]), objects=shown
        )
        for box, shown in zip(boxes, patch_objects(objects, boxes, (image['width'], image['height'])))
    ]
    done.record = dict(image=image, objects=objects, patches=patches)
    done.counts.update(patches=len(patches))
    if job.label:
        done.counts.update(objects=len(objects), difficult=sum(one['iscrowd'] for one in objects))
    for one in objects:
        name = CLASSES[one['category_id'] - 1]
        done.classes[name] = done.classes.get(name, 0) + 1
    return done


def _read_labels(file: SourceFile, size: tuple[int, int], done: Done) -> list[dict]:
    """The objects of an image of this size; what is left out is among the problems of ``done``.

    Raises:
        DamagedInput: the file is no text.
    """
    objects = []
    try:
        lines = decode(file.read()).splitlines()
    except ValueError as error:
        raise DamagedInput(f'has the annotation {file.place}, which {error}') from error
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith(('imagesource:', 'gsd:')):
            continue
        words = line.split()
        try:
            *corners, name, difficult = words
            polygon, difficult = [float(corner) for corner in corners], int(difficult)
            if len(polygon) != 8 or difficult not in (0, 1) or not all(map(math.isfinite, polygon)):
                raise ValueError
        except ValueError:
            done.problems.append(
                (
                    file.place,
                    f'line {number} is not "x1 y1 x2 y2 x3 y3 x4 y4 class difficult": '
                    f'"{line[:80]}"; the object is left out',
                )
            )
            continue
        if name not in CLASSES:
            done.problems.append(
                (
                    file.place,
                    f'line {number} has the class "{name}", which DOTA v1.0 has not; the object is '
                    'left out. Is it an annotation of v1.5 or v2.0?',
                )
            )
            continue
        box = horizontal(polygon)
        if max(box[2] / size[0], box[3] / size[1]) > _LARGEST:
            done.problems.append(
                (file.place, f'line {number} ({name}) reaches far beyond the image; the object is left out')
            )
            continue
        if has_no_area(polygon):
            done.problems.append((file.place, f'line {number} ({name}) has an empty box; the object is left out'))
            continue
        if not all(clip(box, 0, 0, *size)[2:]):
            done.problems.append(
                (
                    file.place,
                    f'line {number} ({name}) lies outside of the image, {size[0]}×{size[1]} pixels; the object is '
                    'left out',
                )
            )
            continue
        objects.append(annotation(CLASSES.index(name), box, bool(difficult), polygon))
    return objects


def finish(out: Path, done: list[tuple[Job, Done]]) -> None:
    for split in OFFICIAL:
        records = [result.record for job, result in done if job.split == split and result.record]
        patches = [patch for record in records for patch in record['patches']]
        for name, entries in (('patches', patches), ('images', records)):
            write_coco(
                out / 'annotations' / f'{split}_{name}.json',
                CLASSES,
                [entry['image'] for entry in entries],
                [entry['objects'] for entry in entries],
            )
