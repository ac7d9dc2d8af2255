"""ISPRS Potsdam: 38 tiles of 6000 pixels, RGB; 24 for training, 14 for validation.

Patches of 512 pixels for configs/_base_/datasets/potsdam_{six,five}-classes_segmentation.py.

SOURCE, as published (Potsdam.zip, or the archives in it, or unpacked):
    2_Ortho_RGB.zip                 top_potsdam_*_RGB.tif
    5_Labels_all_noBoundary.zip     top_potsdam_*_label_noBoundary.tif

OUT, 3 GB; in masks 0 is the boundary of objects, which is ignored, and classes count from 1:
    img_dir/{train,val}/<tile>_<x0>_<y0>_<x1>_<y1>.png
    ann_dir/{train,val}/<tile>_<x0>_<y0>_<x1>_<y1>.png

Example:
    mmest data prepare potsdam ~/Downloads/Potsdam data/potsdam
"""

import re

from mmest.datasets.official import _isprs
from mmest.datasets.official._isprs import CLASSES, convert, ids  # noqa: F401
from mmest.datasets.preparation.problems import Problem
from mmest.datasets.preparation.source import SourceFile
from mmest.datasets.preparation.work import Done, Job

TITLE, VERSION, UNIT = 'ISPRS Potsdam', 1, 'pixels'
OFFICIAL = dict(train=dict(images=24, patches=3456), val=dict(images=14, patches=2016))
SPLITS = dict(
    train=ids(
        '2_10 2_11 2_12 3_10 3_11 3_12 4_10 4_11 4_12 5_10 5_11 5_12 6_10 6_11 6_12 6_7 6_8 6_9 7_10 7_11 7_12 7_7 '
        '7_8 7_9'
    ),
    val=ids('2_13 2_14 3_13 3_14 4_13 4_14 4_15 5_13 5_14 5_15 6_13 6_14 6_15 7_13'),
)


def plan(files: list[SourceFile]) -> tuple[list[Job], list[Problem]]:
    return _isprs.plan(
        files,
        re.compile(r'(?:^|/)top_potsdam_(\d+)_(\d+)_RGB\.tif$', re.IGNORECASE),
        re.compile(r'(?:^|/)top_potsdam_(\d+)_(\d+)_label_noBoundary\.tif$', re.IGNORECASE),
        {'2_ortho_rgb', '5_labels_all_noboundary'},
        SPLITS,
        '2_Ortho_RGB.zip (top_potsdam_*_RGB.tif) and 5_Labels_all_noBoundary.zip (top_potsdam_*_label_noBoundary.tif)',
    )


def finish(out, done: list[tuple[Job, Done]]) -> None:
    """The folders are all that the loader reads."""
