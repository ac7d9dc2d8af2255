"""A picture of live memory over a training step."""

from itertools import groupby
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from mmest.files import naming

from .categories import CATEGORIES, STYLE
from .timeline import Timeline

_MB = 2**20


def draw_timeline(path: Path, timeline: Timeline, title: str) -> None:
    """Live bytes by category over the operators of the step, its phases marked, and the peak.

    Args:
        path: picture to write.
        timeline: of the step.
        title: above the picture.
    """
    figure = Figure(figsize=(9, 4.5), layout='constrained')
    axes = figure.subplots()
    nbytes = np.array([moment.nbytes for moment in timeline.moments]) / _MB
    order = [CATEGORIES.index(category) for category in STYLE]
    labels, colours = zip(*STYLE.values())
    axes.stackplot(np.arange(len(nbytes)), nbytes[:, order].T, labels=labels, colors=colours, step='post')
    totals = nbytes.sum(axis=1)
    fullest, top = int(totals.argmax()), 1.18 * totals.max()
    axes.plot(fullest, totals[fullest], 'v', color='black')
    axes.annotate(
        f'{totals[fullest]:.0f} MB', (fullest, totals[fullest]), xytext=(0, 6), textcoords='offset points', ha='center'
    )
    start = 0
    for phase, moments in groupby(timeline.moments, key=lambda moment: moment.phase):
        end = start + len(list(moments))
        axes.axvline(start, color='black', linewidth=0.8, linestyle=':')
        axes.text((start + end) / 2, 0.985 * top, phase, ha='center', va='top')
        start = end
    axes.set(
        title=title,
        xlabel='operators of the training step',
        ylabel='live memory, MB',
        xlim=(0, len(nbytes)),
        ylim=(0, top),
    )
    figure.legend(
        *(entries[::-1] for entries in axes.get_legend_handles_labels()), loc='outside right upper', frameon=False
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path):
        figure.savefig(path, dpi=120)
