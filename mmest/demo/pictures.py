"""Pictures of the demo: predictions beside ground truth, and accuracy over memory."""

import json
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from PIL import Image

from mmest.datasets.synthetic import LAND_CLASSES, PALETTE

SCORE = 0.4  # detections below are not drawn
COLOURS = np.float32(PALETTE) / 255
METHOD_COLOURS = {'Full': '#c44e52', 'Frozen': '#7f7f7f', 'EST': '#2a6fbb'}


def _panel(axes, title: str | None, image: np.ndarray) -> None:
    axes.imshow(image, interpolation='nearest')
    axes.set_xticks([])
    axes.set_yticks([])
    if title:
        axes.set_title(title, fontsize=11)


def _draw_boxes(axes, boxes, labels) -> None:
    for (x0, y0, x1, y1), label in zip(boxes, labels):
        # Box edges are at pixel borders; imshow puts the middle of pixel 0 at 0.
        axes.add_patch(
            Rectangle(
                (x0 - 0.5, y0 - 0.5),
                x1 - x0,
                y1 - y0,
                fill=False,
                linewidth=1.6,
                edgecolor=COLOURS[len(LAND_CLASSES) + int(label)],
            )
        )


def _sheet(rows: int, columns: int, title: str, classes: dict[str, np.ndarray]) -> tuple[Figure, np.ndarray]:
    figure = Figure(figsize=(2.4 * columns, 2.4 * rows + 0.9), layout='constrained')
    axes = figure.subplots(rows, columns, squeeze=False)
    figure.suptitle(title, fontsize=13)
    figure.legend(
        handles=[
            Patch(facecolor=colour, edgecolor='black', linewidth=0.4, label=name) for name, colour in classes.items()
        ],
        loc='outside lower center',
        ncols=9,
        fontsize=9,
        frameon=False,
    )
    return figure, axes


def detection_sheet(path: Path, data: Path, predictions: dict[str, dict], indices: list[int], classes) -> None:
    """Ground truth and the detections of each method, one row per picture.

    Args:
        path: Picture to write.
        data: Folder of the domain.
        predictions: Per method in words, what :func:`mmest.demo.training.predict` gave.
        indices: Pictures of the validation set.
        classes: Names of the objects.
    """
    coco = json.loads((data / 'annotations' / 'val.json').read_text())
    colours = dict(zip(classes, COLOURS[len(LAND_CLASSES) :]))
    figure, axes = _sheet(len(indices), 1 + len(predictions), 'Detection on the target domain', colours)
    for row, index in zip(axes, indices):
        image = np.asarray(Image.open(data / 'images' / 'val' / f'{index:05d}.png'))
        first = row[0] is axes[0, 0]
        truth = [a for a in coco['annotations'] if a['image_id'] == index]
        boxes = [(x, y, x + w, y + h) for x, y, w, h in (a['bbox'] for a in truth)]
        _panel(row[0], 'ground truth' if first else None, image)
        _draw_boxes(row[0], boxes, [a['category_id'] for a in truth])
        for axis, (method, found) in zip(row[1:], predictions.items()):
            _panel(axis, method if first else None, image)
            sure = found[f'scores_{index}'] >= SCORE
            _draw_boxes(axis, found[f'boxes_{index}'][sure], found[f'labels_{index}'][sure])
    figure.savefig(path, dpi=110)


def segmentation_sheet(path: Path, data: Path, predictions: dict[str, dict], indices: list[int], classes) -> None:
    """The picture, the true mask and the mask of each method, one row per picture; arguments as above."""
    figure, axes = _sheet(
        len(indices), 2 + len(predictions), 'Segmentation on the target domain', dict(zip(classes, COLOURS))
    )
    for row, index in zip(axes, indices):
        first = row[0] is axes[0, 0]
        _panel(row[0], 'image' if first else None, np.asarray(Image.open(data / 'images' / 'val' / f'{index:05d}.png')))
        truth = np.asarray(Image.open(data / 'masks' / 'val' / f'{index:05d}.png'))
        _panel(row[1], 'ground truth' if first else None, COLOURS[truth])
        for axis, (method, found) in zip(row[2:], predictions.items()):
            _panel(axis, method if first else None, COLOURS[found[f'mask_{index}']])
    figure.savefig(path, dpi=110)


def accuracy_over_memory(path: Path, rows: list[dict]) -> None:
    """One panel per task: accuracy of each method over the live peak of its training step.

    Args:
        path: Picture to write.
        rows: Of the table, as :func:`mmest.demo.report.table_rows` gives them.
    """
    tasks = list(dict.fromkeys(row['task'] for row in rows))
    with matplotlib.rc_context({'axes.spines.top': False, 'axes.spines.right': False}):
        figure = Figure(figsize=(5.2 * len(tasks), 4.2), layout='constrained')
        for axes, task in zip(figure.subplots(1, len(tasks), squeeze=False)[0], tasks):
            mine = [row for row in rows if row['task'] == task]
            for row in mine:
                memory = row['live_peak_bytes'] / 2**20
                colour = METHOD_COLOURS[row['method']]
                axes.scatter(memory, row['accuracy'], s=130, color=colour, zorder=3)
                below = row['method'] == 'Frozen'  # its memory is close to that of EST: keep their labels apart
                axes.annotate(
                    f'{row["method"]}: {row["accuracy"]:.1f} at {row["memory_share"]:.0%}',
                    (memory, row['accuracy']),
                    xytext=(0, -12 if below else 12),
                    textcoords='offset points',
                    ha='center',
                    va='top' if below else 'bottom',
                    color=colour,
                )
            values = [row['accuracy'] for row in mine]
            span = max(max(values) - min(values), 2.0)
            axes.set_ylim(min(values) - 0.35 * span, max(values) + 0.35 * span)
            axes.set_xlim(0, 1.2 * max(row['live_peak_bytes'] for row in mine) / 2**20)
            axes.set(title=task, xlabel='live peak of a training step (MiB)', ylabel=f'{mine[0]["metric"]} (%)')
            axes.grid(alpha=0.3)
        figure.savefig(path, dpi=130)
