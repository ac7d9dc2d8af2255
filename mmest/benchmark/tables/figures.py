"""Figures: accuracy over memory, what the peak is made of, curves of the loss."""

import statistics
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from mmest.measure.memory.picture import STYLE

from .results import Result
from .rows import methods_in_order, without_variants
from .scores import metric_of, scores_by_method
from .summary import RECOMPUTED
from .table import Table

_MB = 2**20


@contextmanager
def _figure(path: Path, width: float, height: float) -> Iterator[Figure]:
    """A figure that is written as SVG and PDF, byte for byte the same for the same contents."""
    style = {'svg.hashsalt': path.name, 'axes.spines.top': False, 'axes.spines.right': False, 'font.size': 10}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), layout='constrained')
        yield figure
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path.with_suffix('.svg'), metadata=dict(Date=None))
        figure.savefig(path.with_suffix('.pdf'), metadata=dict(CreationDate=None))


def _colours(methods: Iterable[str]) -> dict[str, Any]:
    """The frame in black and grey, EST in blue, the others in whatever is left."""
    fixed = dict(full='black', frozen='#8c8c8c', est='#1f77b4')
    left = [colour for number, colour in enumerate(matplotlib.colormaps['tab20'].colors) if number not in (0, 14, 15)]
    others = iter(left * 4)
    return {method: fixed.get(method) or next(others) for method in methods}


def pareto_front(points: dict[str, tuple[float, float]]) -> list[str]:
    """Names of the points (memory, accuracy) that no other beats in both, by rising memory."""
    front, best = [], float('-inf')
    for name, (_, accuracy) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if accuracy > best:
            front.append(name)
            best = accuracy
    return front


def accuracy_against_memory(path: Path, table: Table) -> bool:
    """The methods of :func:`~mmest.benchmark.tables.summary.summary` by memory and accuracy, the best at the top left;
    False, and no file, where fewer than two have both.

    Methods that were trained in fewer settings than others are hollow, with their number; a line leads to what a method
    needs with recomputed blocks.
    """
    rows = {row[0]: row for row in table.rows if row[4] is not None}
    points = {name: (100 * row[4], row[1]) for name, row in rows.items()}
    if len(points) < 2:
        return False
    most = max(row[3] for row in rows.values())
    with _figure(path, 7.4, 4.4) as figure:
        axes = figure.subplots()
        # Of the same settings alone: a method that was trained where little can be lost is not ahead of the others.
        front = pareto_front({name: point for name, point in points.items() if rows[name][3] == most})
        axes.plot(*zip(*(points[name] for name in front)), color='#999999', linestyle=':', zorder=1)
        plain = [name for name in points if not name.endswith(RECOMPUTED)]
        for method, colour in _colours(plain).items():
            again = points.get(f'{method}{RECOMPUTED}')
            if again:
                axes.plot(*zip(points[method], again), color=colour, linewidth=0.6, marker='x', markevery=[1], zorder=1)
            few = rows[method][3] < most
            axes.plot(*points[method], 'o', color=colour, markerfacecolor='white' if few else colour, markersize=7)
            said = f'{method} ({rows[method][3]})' if few else method
            axes.annotate(said, points[method], xytext=(7, 5), textcoords='offset points', color=colour)
        axes.plot([], [], 'x', color='#666666', label='with recomputed blocks')
        axes.plot([], [], 'o', color='#666666', markerfacecolor='white', label=f'in fewer than {most} settings')
        axes.axhline(0, color='#999999', linewidth=0.8)
        axes.margins(0.15, 0.2)
        axes.set(
            xlabel='memory of a training step, % of full fine-tuning', ylabel='accuracy, points from full fine-tuning'
        )
        axes.grid(alpha=0.3)
        axes.legend(loc='lower right', frameon=False)
    return True


def accuracy_over_memory(path: Path, results: Sequence[Result], model: str, dataset: str, setting: str) -> bool:
    """Accuracy of each method over its live peak, and the Pareto front; False, and no file, where fewer than two have
    both.

    Methods with recomputed blocks, which score as without, are hollow. Other variants, many and close together, are in
    the tables alone.
    """
    mine = [r for r in results if r.model == model and not r.error]
    peaks = {r.method: r.values['peak'] / _MB for r in mine if r.kind == 'memory' and r.setting == setting}
    runs = [r for r in mine if r.kind == 'accuracy' and r.dataset == dataset]
    spreads = {method: score for method, score in scores_by_method(runs).items() if method in peaks}
    if len(spreads) < 2:
        return False
    points = {method: (peaks[method], spread.mean) for method, spread in spreads.items()}
    again = {f'{method}{RECOMPUTED}': method for method in spreads if f'{method}{RECOMPUTED}' in peaks}
    points |= {name: (peaks[name], spreads[method].mean) for name, method in again.items()}
    metric = metric_of(runs).rpartition('/')[2]
    with _figure(path, 7.4, 4.4) as figure:
        axes = figure.subplots()
        front = pareto_front(points)
        axes.plot(
            *zip(*(points[method] for method in front)), color='#999999', linestyle=':', zorder=1, label='Pareto front'
        )
        colours = _colours(spreads)
        for method, colour in colours.items():
            memory, accuracy = points[method]
            axes.errorbar(memory, accuracy, yerr=spreads[method].std, fmt='o', color=colour, capsize=3, label=method)
        for name, method in again.items():
            axes.plot(*points[name], 'o', color=colours[method], markerfacecolor='none')
        for name in front:
            colour = colours[again.get(name, name)]
            axes.annotate(name, points[name], xytext=(6, 6), textcoords='offset points', color=colour)
        if again:
            axes.plot([], [], 'o', color='#999999', markerfacecolor='none', label='with recomputed blocks')
        axes.margins(0.15, 0.2)
        axes.set(
            title=f'{model} on {dataset}', xlabel=f'live peak of a training step, MB ({setting})', ylabel=f'{metric}, %'
        )
        axes.grid(alpha=0.3)
        figure.legend(loc='outside right upper', frameon=False)
    return True


def attribution_bars(path: Path, results: Sequence[Result], model: str, setting: str) -> bool:
    """What the live peak of each method is made of; False, and no file, without a measurement."""
    mine = [r for r in results if r.kind == 'memory' and r.model == model and r.setting == setting and not r.error]
    if not mine:
        return False
    by_method = {r.method: r.values['attribution'] for r in mine}
    methods = methods_in_order(mine)[::-1]
    with _figure(path, 8, 1.4 + 0.32 * len(methods)) as figure:
        axes, left = figure.subplots(), [0.0] * len(methods)
        for key, (label, colour) in STYLE.items():
            sizes = [by_method[method][key] / _MB for method in methods]
            if any(sizes):
                axes.barh(methods, sizes, left=left, color=colour, label=label, height=0.7)
                left = [start + size for start, size in zip(left, sizes)]
        for method, total in zip(methods, left):
            axes.annotate(f'{total:.0f}', (total, method), xytext=(4, 0), textcoords='offset points', va='center')
        axes.set(title=f'{model}, {setting}', xlabel='MB at the fullest moment of a training step')
        axes.margins(y=0.02)
        axes.set_xlim(0, 1.1 * max(left))
        figure.legend(loc='outside right upper', frameon=False)
    return True


def loss_curves(path: Path, results: Sequence[Result], model: str, dataset: str) -> bool:
    """The training loss of each method, variants aside, the mean over seeds; False, and no file, without a curve."""
    runs = [
        r
        for r in results
        if r.kind == 'accuracy' and r.model == model and r.dataset == dataset and not r.error and r.values.get('losses')
    ]
    methods = without_variants(methods_in_order(runs))
    if not methods:
        return False
    with _figure(path, 7.4, 4) as figure:
        axes = figure.subplots()
        for method, colour in _colours(methods).items():
            by_step: dict[int, list[float]] = {}
            for run in runs:
                for step, loss in run.values['losses'] if run.method == method else ():
                    by_step.setdefault(step, []).append(loss)
            steps = sorted(by_step)
            axes.plot(steps, [statistics.mean(by_step[step]) for step in steps], label=method, color=colour)
        axes.set(title=f'{model} on {dataset}', xlabel='step', ylabel='training loss')
        axes.grid(alpha=0.3)
        figure.legend(loc='outside right upper', frameon=False)
    return True
