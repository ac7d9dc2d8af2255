"""iSAID: DOTA's images with colour masks of 15 classes and background, cut as mmseg's converter does.

Patches of 896 pixels that overlap by 384 for configs/_base_/datasets/isaid_segmentation.py.

SOURCE, as published (in zip archives or not); the images are those of DOTA v1.0:
    train/images/P*.png    train/Semantic_masks/P*_instance_color_RGB.png
    val/images/P*.png      val/Semantic_masks/P*_instance_color_RGB.png

OUT, about 70 GB; masks hold 0 for background, 1 to 15 for the classes, 255 for what is beyond the picture:
    img_dir/{train,val}/<image>_<y0>_<y1>_<x0>_<x1>.png
    ann_dir/{train,val}/<image>_<y0>_<y1>_<x0>_<x1>_instance_color_RGB.png

Example:
    mmest data prepare isaid ~/Downloads/iSAID data/isaid
"""

import re
from pathlib import Path

from mmest.datasets.preparation.choice import one_each
from mmest.datasets.preparation.masks import cut_pair, pair
from mmest.datasets.preparation.problems import Problem
from mmest.datasets.preparation.source import SourceFile
from mmest.datasets.preparation.work import Done, Job

TITLE, VERSION, UNIT = 'iSAID', 1, 'pixels'
CLASSES = (
    'background',
    'ship',
    'store_tank',
    'baseball_diamond',
    'tennis_court',
    'basketball_court',
    'Ground_Track_Field',
    'Bridge',
    'Large_Vehicle',
    'Small_Vehicle',
    'Helicopter',
    'Swimming_pool',
    'Roundabout',
    'Soccer_ball_field',
    'plane',
    'Harbor',
)
OFFICIAL = dict(train=dict(images=1411, patches=33978), val=dict(images=458, patches=11644))
_COLOURS = (
    (0, 0, 0),
    (0, 0, 63),
    (0, 63, 63),
    (0, 63, 0),
    (0, 63, 127),
    (0, 63, 191),
    (0, 63, 255),
    (0, 127, 63),
    (0, 127, 127),
    (0, 0, 127),
    (0, 0, 191),
    (0, 0, 255),
    (0, 191, 127),
    (0, 127, 191),
    (0, 127, 255),
    (0, 100, 155),
)
SIZE, OVERLAP = 896, 384
MASK_ENDING = '_instance_color_RGB.png'


def plan(files: list[SourceFile]) -> tuple[list[Job], list[Problem]]:
    jobs: list[Job] = []
    problems: list[Problem] = []
    for split in OFFICIAL:
        inside = [file for file in files if split in map(str.lower, file.parts)]
        pictures, masks = (
            one_each(
                (
                    (match[1], file)
                    for file in inside
                    if (match := re.fullmatch(rf'(P\d+)(?i:{ending})', file.parts[-1]))
                ),
                {'images', 'semantic_masks'},
                problems,
            )
            for ending in (r'\.png', re.escape(MASK_ENDING))
        )
        found, missing = pair(pictures, masks, {split: sorted(pictures.keys() | masks.keys())})
        jobs += found
        problems += [Problem(f'{split}: {key}', f'its {kind} is missing; left out') for key, kind in missing]
    if not jobs:
        raise ValueError(
            f'No picture with its mask was found: iSAID has train and val, each with the pictures of DOTA, P*.png, '
            f'and Semantic_masks, P*{MASK_ENDING}.'
        )
    return jobs, problems


def convert(job: Job, out: Path) -> Done:
    return cut_pair(
        job,
        out,
        {colour: number for number, colour in enumerate(_COLOURS)},
        dict(enumerate(CLASSES)),
        SIZE,
        OVERLAP,
        lambda key, box: f'{key}_{box[1]}_{box[3]}_{box[0]}_{box[2]}',
        MASK_ENDING,
        other=255,
        pad=True,
    )


def finish(out: Path, done: list[tuple[Job, Done]]) -> None:
    """The folders are all that the loader reads."""
