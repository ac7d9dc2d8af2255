"""DIOR-R: the images of DIOR with oriented boxes.

COCO files and images for configs/_base_/datasets/dior_oriented.py.

SOURCE, as published:
    ImageSets/Main/{train,val,test}.txt           or Main/..., in a zip archive or not
    JPEGImages-trainval/*.jpg                      or JPEGImages-trainval.zip
    JPEGImages-test/*.jpg                          or JPEGImages-test.zip
    Annotations/Oriented Bounding Boxes/*.xml      or Annotations.zip

OUT, 7 GB:
    images/*.jpg
    annotations/{train,val,trainval,test}.json     corners under "segmentation"

Example:
    mmest data prepare dior_r ~/Downloads/DIOR data/dior_r
"""

from mmest.datasets.official import _dior, dior
from mmest.datasets.preparation.problems import Problem
from mmest.datasets.preparation.source import SourceFile
from mmest.datasets.preparation.work import Job

TITLE, VERSION, UNIT = 'DIOR-R', 4, 'objects'
CLASSES, OFFICIAL = dior.CLASSES, dior.OFFICIAL
convert, finish = dior.convert, dior.finish


def plan(files: list[SourceFile]) -> tuple[list[Job], list[Problem]]:
    jobs, problems = _dior.plan(files, oriented=True)
    if not jobs:
        raise ValueError(
            'No oriented boxes were found with their image: DIOR-R has Annotations/Oriented Bounding Boxes/*.xml '
            'beside the files of DIOR.'
        )
    return jobs, problems
