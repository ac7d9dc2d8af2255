"""DIOR-R: the pictures of DIOR with oriented boxes."""

from mmest.datasets.official import dior
from mmest.datasets.preparation.problems import Problem
from mmest.datasets.preparation.source import SourceFile
from mmest.datasets.preparation.work import Job

TITLE, VERSION, UNIT = 'DIOR-R', 1, 'objects'
CLASSES, OFFICIAL = dior.CLASSES, dior.OFFICIAL
convert, finish = dior.convert, dior.finish


def plan(files: list[SourceFile]) -> tuple[list[Job], list[Problem]]:
    oriented = [
        file
        for file in files
        if not (file.name.endswith('.xml') and any('horizontal' in part.lower() for part in file.parts))
    ]
    if not any(file.name.endswith('.xml') for file in oriented):
        raise ValueError(
            'No oriented boxes were found: DIOR-R has Annotations/Oriented Bounding Boxes/*.xml beside the files of '
            'DIOR.'
        )
    return dior.plan(oriented)
