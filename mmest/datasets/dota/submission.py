"""The zip files that DOTA's server takes."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mmest.files import write_zip

Detections = dict[str, Sequence[np.ndarray]]


def write_task(folder: Path, task: int, classes: Sequence[str], detections: Detections) -> None:
    """``Task<task>.zip``, with a text file per class, also where nothing was found: the server wants all of them.

    Args:
        folder: where it goes.
        task: 1, oriented boxes, or 2, horizontal ones.
        classes: their names.
        detections: by picture, for each class rows of x1, y1, ..., x4, y4, score (Task 1), or x0, y0, x1, y1, score
            (Task 2).
    """
    contents = {}
    for label, name in enumerate(classes):
        lines = [
            ' '.join([picture, f'{row[-1]:.6f}', *(f'{value:.2f}' for value in row[:-1])])
            for picture, found in detections.items()
            for row in found[label]
        ]
        contents[f'Task{task}_{name}.txt'] = ''.join(f'{line}\n' for line in lines).encode()
    write_zip(folder / f'Task{task}.zip', contents)
