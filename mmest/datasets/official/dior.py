"""DIOR: 20 classes of horizontal boxes in VOC's XML; oriented ones (DIOR-R) lie beside them.

COCO files and images for configs/_base_/datasets/dior_detection.py.

SOURCE, as published:
    ImageSets/Main/{train,val,test}.txt           or Main/..., in a zip archive or not
    JPEGImages-trainval/*.jpg                      or JPEGImages-trainval.zip
    JPEGImages-test/*.jpg                          or JPEGImages-test.zip
    Annotations/Horizontal Bounding Boxes/*.xml    or Annotations.zip

OUT, 7 GB:
    images/*.jpg
    annotations/{train,val,trainval,test}.json

Example:
    mmest data prepare dior ~/Downloads/DIOR data/dior
"""

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from mmest.datasets.official import _dior
from mmest.datasets.preparation.coco import annotation, clip, has_no_area, horizontal, write_coco
from mmest.datasets.preparation.images import open_image
from mmest.datasets.preparation.problems import DamagedInput, Problem
from mmest.datasets.preparation.source import SourceFile
from mmest.datasets.preparation.work import Done, Job
from mmest.files import write_bytes

TITLE, VERSION, UNIT = 'DIOR', 5, 'objects'
CLASSES = (
    'airplane',
    'airport',
    'baseballfield',
    'basketballcourt',
    'bridge',
    'chimney',
    'dam',
    'Expressway-Service-area',
    'Expressway-toll-station',
    'golffield',
    'groundtrackfield',
    'harbor',
    'overpass',
    'ship',
    'stadium',
    'storagetank',
    'tenniscourt',
    'trainstation',
    'vehicle',
    'windmill',
)
OFFICIAL = dict(train=dict(images=5862), val=dict(images=5863), test=dict(images=11738))
# Copies in circulation write some names in small letters.
_LABELS = {name.lower(): label for label, name in enumerate(CLASSES)}
_CORNERS = [f'{axis}_{corner}' for corner in ('left_top', 'right_top', 'right_bottom', 'left_bottom') for axis in 'xy']


def plan(files: list[SourceFile]) -> tuple[list[Job], list[Problem]]:
    return _dior.plan(files, oriented=False)


def convert(job: Job, out: Path) -> Done:
    with open_image(job.picture, out) as picture:
        width, height = picture.size
    try:
        root = ElementTree.fromstring(job.label.read())
    except ElementTree.ParseError as error:
        raise DamagedInput(f'has a broken annotation {job.label.place} ({error})') from error
    size = [root.findtext(f'size/{side}') for side in ('width', 'height')]
    if size != [str(width), str(height)]:
        raise DamagedInput(f'has {width}×{height} pixels, but {job.label.place} says {size[0]}×{size[1]}')
    done = Done(outputs=[f'images/{job.key}.jpg'])
    objects = []
    for number, element in enumerate(root.findall('object'), start=1):
        name = element.findtext('name', '')
        try:
            label = _LABELS[name.strip().lower()]
            corners = _corners(element)
            box = clip(horizontal(corners) if corners else _box(element), 0, 0, width, height)
        except KeyError:
            done.problems.append(
                (job.label.place, f'object {number} has the class "{name}", which DIOR has not; left out')
            )
            continue
        except (TypeError, ValueError):
            done.problems.append((job.label.place, f'object {number} ({name}) has no box that can be read; left out'))
            continue
        if box[2] < 1 or box[3] < 1 or (corners and has_no_area(corners)):
            done.problems.append((job.label.place, f'object {number} ({name}) has an empty box; left out'))
            continue
        objects.append(annotation(label, box, element.findtext('difficult', '0').strip() == '1', corners))
        done.classes[CLASSES[label]] = done.classes.get(CLASSES[label], 0) + 1
    done.counts = dict(images=1, objects=len(objects))
    if any('segmentation' in one for one in objects):
        done.counts['images with oriented boxes'] = 1
    done.record = dict(image=dict(file_name=f'{job.key}.jpg', width=width, height=height), objects=objects)
    write_bytes(out / done.outputs[0], job.picture.read())
    return done


def _box(element: ElementTree.Element) -> list[float]:
    """x, y, width, height, from 0 on: VOC counts pixels from 1."""
    x0, y0, x1, y1 = (_number(element.findtext(f'bndbox/{side}')) for side in ('xmin', 'ymin', 'xmax', 'ymax'))
    return [x0 - 1, y0 - 1, x1 - x0, y1 - y0]


def _corners(element: ElementTree.Element) -> list[float]:
    """x1, y1, ..., x4, y4 of an oriented box, from 0 on; none of a horizontal one."""
    if element.find('robndbox') is None:
        return []
    return [_number(element.findtext(f'robndbox/{corner}')) - 1 for corner in _CORNERS]


def _number(text: str | None) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f'{text} is no place')
    return number


def finish(out: Path, done: list[tuple[Job, Done]]) -> None:
    for name, splits in dict(train=('train',), val=('val',), trainval=('train', 'val'), test=('test',)).items():
        records = [result.record for job, result in done if job.split in splits and result.record]
        write_coco(
            out / 'annotations' / f'{name}.json',
            CLASSES,
            [record['image'] for record in records],
            [record['objects'] for record in records],
        )
