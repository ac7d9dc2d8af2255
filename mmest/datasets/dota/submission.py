"""The zip files that DOTA's server takes."""
from pathlib import Path
from typing import Dict, Sequence

import numpy as np

from mmest.engine.atomic import write_zip

Detections = Dict[str, Sequence[np.ndarray]]


def write_task1(path: Path, classes: Sequence[str], detections: Detections) -> None:
    """Oriented boxes: by picture, for each class N×9 with x1, y1, ..., x4, y4, score."""
    _write(path, 1, classes, detections)


def write_task2(path: Path, classes: Sequence[str], detections: Detections) -> None:
    """Horizontal boxes: by picture, for each class N×5 with x0, y0, x1, y1, score."""
    _write(path, 2, classes, detections)


def _write(path: Path, task: int, classes: Sequence[str], detections: Detections) -> None:
    """A text file per class, also where nothing was found: the server wants all of them."""
    contents = {}
    for label, name in enumerate(classes):
        lines = [' '.join([picture, f'{row[-1]:.6f}', *(f'{value:.2f}' for value in row[:-1])])
                 for picture, found in detections.items() for row in found[label]]
        contents[f'Task{task}_{name}.txt'] = ''.join(f'{line}\n' for line in lines).encode()
    write_zip(path, contents)
