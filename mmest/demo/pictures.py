"""Pictures of the demo: predictions beside ground truth, and accuracy over memory."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from PIL import Image

from mmest.datasets.synthetic import PALETTE

COLOURS = np.float32(PALETTE) / 255
METHOD_COLOURS = {'Full': '#c44e52', 'Frozen': '#7f7f7f', 'EST': '#2a6fbb'}


def _panel(axes, title: str | None, image: np.ndarray) -> None:
    axes.imshow(image, interpolation='nearest')
    axes.set_xticks([])
    axes.set_yticks([])
    if title:
        axes.set_title(title, fontsize=11)


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


def sheet(
    path: Path, title: str, data: Path, predictions: dict[str, np.ndarray], indices: list[int], classes: Sequence[str]
) -> None:
    """Image, true mask and the mask of each method, one row per image.

    Args:
        path: picture to write.
        title: what stands above it.
        data: folder of the domain.
        predictions: per method in words, classes of all pixels, N×H×W.
        indices: images of the validation set.
        classes: their names.
    """
    figure, axes = _sheet(len(indices), 2 + len(predictions), title, dict(zip(classes, COLOURS)))
    for row, index in zip(axes, indices):
        first = row[0] is axes[0, 0]
        _panel(row[0], 'image' if first else None, np.asarray(Image.open(data / 'images' / 'val' / f'{index:05d}.png')))
        truth = np.asarray(Image.open(data / 'masks' / 'val' / f'{index:05d}.png'))
        _panel(row[1], 'ground truth' if first else None, COLOURS[truth])
        for axis, (method, found) in zip(row[2:], predictions.items()):
            _panel(axis, method if first else None, COLOURS[found[index]])
    figure.savefig(path, dpi=110)


def accuracy_over_memory(path: Path, rows: list[dict]) -> None:
    """One panel per case: mIoU of each method over the live peak of its training step.

    Args:
        path: picture to write.
        rows: of the table, as :func:`mmest.demo.report.table_rows` gives them.
    """
    cases = list(dict.fromkeys(row['case'] for row in rows))
    with matplotlib.rc_context({'axes.spines.top': False, 'axes.spines.right': False}):
        figure = Figure(figsize=(5.2 * len(cases), 4.2), layout='constrained')
        for axes, case in zip(figure.subplots(1, len(cases), squeeze=False)[0], cases):
            mine = [row for row in rows if row['case'] == case]
            for row in mine:
                memory = row['live_peak_bytes'] / 2**20
                colour = METHOD_COLOURS[row['method']]
                axes.scatter(memory, row['miou'], s=130, color=colour, zorder=3)
                below = row['method'] == 'Frozen'  # its memory is close to that of EST: keep their labels apart
                axes.annotate(
                    f'{row["method"]}: {row["miou"]:.1f} at {row["memory_share"]:.0%}',
                    (memory, row['miou']),
                    xytext=(0, -12 if below else 12),
                    textcoords='offset points',
                    ha='center',
                    va='top' if below else 'bottom',
                    color=colour,
                )
            values = [row['miou'] for row in mine]
            span = max(max(values) - min(values), 2.0)
            axes.set_ylim(min(values) - 0.35 * span, max(values) + 0.35 * span)
            axes.set_xlim(0, 1.2 * max(row['live_peak_bytes'] for row in mine) / 2**20)
            axes.set(title=case, xlabel='live peak of a training step (MiB)', ylabel='mIoU (%)')
            axes.grid(alpha=0.3)
        figure.savefig(path, dpi=130)
