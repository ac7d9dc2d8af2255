"""ISPRS Vaihingen: 33 tiles of about 2500×2000 pixels, infrared, red, green; 16 for training, 17 for validation.

Patches of 512 pixels for configs/_base_/datasets/vaihingen_{six,five}-classes_segmentation.py.

SOURCE, as published (Vaihingen.zip, or the archives in it, or unpacked):
    ISPRS_semantic_labeling_Vaihingen.zip                                 top/top_mosaic_09cm_area*.tif
    ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE.zip    top_mosaic_09cm_area*_noBoundary.tif

OUT, 0.4 GB; in masks 0 is the boundary of objects, which is ignored, and classes count from 1:
    img_dir/{train,val}/<area>_<x0>_<y0>_<x1>_<y1>.png
    ann_dir/{train,val}/<area>_<x0>_<y0>_<x1>_<y1>.png

Example:
    mmest data prepare vaihingen ~/Downloads/Vaihingen data/vaihingen
"""

import re

from mmest.datasets.official import _isprs
from mmest.datasets.official._isprs import CLASSES, convert, ids  # noqa: F401
from mmest.datasets.preparation.problems import Problem
from mmest.datasets.preparation.source import SourceFile
from mmest.datasets.preparation.work import Done, Job

TITLE, VERSION, UNIT = 'ISPRS Vaihingen', 2, 'pixels'
OFFICIAL = dict(train=dict(images=16, patches=344), val=dict(images=17, patches=398))
SPLITS = dict(
    train=ids(
        'area1 area3 area5 area7 area11 area13 area15 area17 area21 area23 area26 area28 area30 area32 area34 area37'
    ),
    val=ids(
        'area2 area4 area6 area8 area10 area12 area14 area16 area20 area22 area24 area27 area29 area31 area33 area35 '
        'area38'
    ),
)


def plan(files: list[SourceFile]) -> tuple[list[Job], list[Problem]]:
    return _isprs.plan(
        files,
        # The labels with boundaries have the names of the pictures.
        re.compile(r'(?:^|/)top/top_mosaic_09cm_(area\d+)\.tif$', re.IGNORECASE),
        re.compile(r'(?:^|/)top_mosaic_09cm_(area\d+)_noBoundary\.tif$', re.IGNORECASE),
        {'top', 'isprs_semantic_labeling_vaihingen_ground_truth_eroded_complete'},
        SPLITS,
        'ISPRS_semantic_labeling_Vaihingen.zip (top/top_mosaic_09cm_area*.tif) and ISPRS_semantic_labeling_'
        'Vaihingen_ground_truth_eroded_COMPLETE.zip (top_mosaic_09cm_area*_noBoundary.tif)',
    )


def finish(out, done: list[tuple[Job, Done]]) -> None:
    """The folders are all that the loader reads."""
