"""The figures of a report, as SVG or JPEG inside the page."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmest.measure.memory.categories import CATEGORIES, STYLE
from mmest.measure.memory.timeline import Timeline

#: Of the runs, in their order; colours that colour-blind people tell apart (Okabe and Ito).
COLOURS = ('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#000000')
_STYLE = {'svg.hashsalt': 'report', 'axes.spines.top': False, 'axes.spines.right': False, 'font.size': 10}
_MB = 2**20
_CELLS = 12  # more classes than that have no numbers in the cells of their matrix


def svg(figure: Figure) -> str:
    """A figure as an SVG element."""
    stream = io.StringIO()
    with matplotlib.rc_context(_STYLE):
        figure.savefig(stream, format='svg', metadata=dict(Date=None), bbox_inches='tight')
    text = stream.getvalue()
    return text[text.index('<svg') :]


def jpeg(figure: Figure) -> str:
    """A figure as the address of a JPEG inside the page."""
    stream = io.BytesIO()
    figure.savefig(stream, format='jpeg', dpi=90, bbox_inches='tight', pil_kwargs=dict(quality=85))
    return f'data:image/jpeg;base64,{base64.b64encode(stream.getvalue()).decode()}'


def _axes(width: float = 6.4, height: float = 3.4):
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout='constrained')
        return figure, figure.subplots()


def legend(place: Axes | Figure, handles: Sequence[Artist], names: Sequence[str], **options: Any) -> None:
    """A legend with names as they are: matplotlib leaves out labels that begin with ``_``, and takes ``$`` for
    mathematics.
    """
    made = place.legend(handles, ['-'] * len(names), **options)
    for text, name in zip(made.get_texts(), names):
        text.set(text=name, parse_math=False)


def curves(by_run: Mapping[str, Sequence[tuple[int, float]]], ylabel: str, markers: bool = False) -> str:
    """Values over training steps, one line per run."""
    figure, axes = _axes()
    for curve, colour in zip(by_run.values(), COLOURS * 9):
        steps, values = zip(*curve)
        axes.plot(steps, values, color=colour, marker='o' if markers else None, markersize=4)
    axes.set(xlabel='training step', ylabel=ylabel)
    axes.grid(alpha=0.3)
    if len(by_run) > 1:
        legend(axes, axes.get_lines(), [*by_run], frameon=False)
    return svg(figure)


def precision_recall(by_class: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> str:
    """Precision over recall at IoU 0.5, one line per class."""
    figure, axes = _axes(6.4, 4.2)
    colours = matplotlib.colormaps['tab20'].colors
    for (recall, precision), colour in zip(by_class.values(), colours * 9):
        axes.plot(recall, precision, color=colour)
    axes.set(xlabel='recall', ylabel='precision', xlim=(0, 1.01), ylim=(0, 1.02))
    axes.grid(alpha=0.3)
    columns = 1 + len(by_class) // 8
    legend(axes, axes.get_lines(), [*by_class], frameon=False, fontsize=8, ncols=columns, loc='lower left')
    return svg(figure)


def confusion(matrix: np.ndarray, labels: Sequence[str]) -> str:
    """A confusion matrix, each row in shares of its sum."""
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    side = 2.2 + 0.45 * len(labels)
    figure, axes = _axes(side + 0.8, side)
    drawn = axes.imshow(shares, cmap='Blues', vmin=0, vmax=1)
    axes.set(xlabel='predicted', ylabel='true', xticks=range(len(labels)), yticks=range(len(labels)))
    axes.set_xticklabels(labels, rotation=45, ha='right', parse_math=False)
    axes.set_yticklabels(labels, parse_math=False)
    if len(labels) <= _CELLS:
        for (row, column), share in np.ndenumerate(shares):
            if matrix[row, column]:
                colour = 'white' if share > 0.5 else 'black'
                axes.text(column, row, f'{share:.2f}', ha='center', va='center', fontsize=8, color=colour)
    figure.colorbar(drawn, shrink=0.7, label='share of the row')
    return svg(figure)


def memory(timeline: Timeline) -> str:
    """Live memory by category over the operators of a training step."""
    figure, axes = _axes(8.2, 3.8)
    nbytes = np.array([moment.nbytes for moment in timeline.moments]) / _MB
    order = [CATEGORIES.index(name) for name in STYLE]
    labels, colours = zip(*STYLE.values())
    steps = np.arange(len(nbytes))
    # A point in each hundredth of the step is enough for the eye: the page stays small.
    kept = np.unique(np.r_[np.linspace(0, len(nbytes) - 1, 400).astype(int), nbytes.sum(1).argmax()])
    axes.stackplot(steps[kept], nbytes[kept][:, order].T, labels=labels, colors=colours, step='post')
    top = nbytes.sum(1).max()
    axes.annotate(
        f'{top:.0f} MB', (nbytes.sum(1).argmax(), top), xytext=(0, 4), textcoords='offset points', ha='center'
    )
    axes.set(
        xlabel='operators of the training step', ylabel='live memory, MB', xlim=(0, len(nbytes)), ylim=(0, 1.12 * top)
    )
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles[::-1], names[::-1], loc='outside right upper', frameon=False, fontsize=8)
    return svg(figure)
