"""Tables in the form that papers on tuning methods have: one backbone, methods in rows, data sets in columns."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from mmest.measure.memory.compare import FULL

from .results import Result
from .rows import find, methods_in_order, unique, without_variants
from .scores import scores
from .shares import share
from .table import FAILED, Column, Table

#: The data sets of the paper, by the folder of their configs: what papers print, and the metric.
_DATASETS = {
    'dior': ('DIOR, AP50', 'pascal_voc/AP50'),
    'dota': ('DOTA v1.0 val, AP50', 'dota/AP50'),
    'potsdam_five-classes': ('Potsdam, clutter ignored, mIoU', 'mIoU'),
    'potsdam_six-classes': ('Potsdam, six classes, mIoU', 'mIoU'),
    'vaihingen_five-classes': ('Vaihingen, clutter ignored, mIoU', 'mIoU'),
    'vaihingen_six-classes': ('Vaihingen, six classes, mIoU', 'mIoU'),
    'loveda': ('LoveDA val, mIoU', 'mIoU'),
    'isaid': ('iSAID val, mIoU', 'mIoU'),
}


@dataclass(frozen=True)
class Published:
    """A figure of full fine-tuning that others published.

    Attributes:
        dataset: folder of the configs with the same protocol.
        model: head and backbone.
        value: in per cent.
        source: who says so.
        differs: in what the protocol (split, classes, sizes, metric) differs from that of the configs; empty where it
            agrees. Images in a step, and steps, are what a grid says.
    """

    dataset: str
    model: str
    value: float
    source: str
    differs: str = ''


PUBLISHED = (
    Published(
        'dior', 'faster-rcnn_vit-b', 75.8, 'RVSA, TGRS 2022', 'RVSA attention, MAE pre-training on aerial images'
    ),
    Published('dota', 'oriented-rcnn_r50', 75.69, 'model zoo of mmrotate', 'trained on val too, scored by the server'),
    Published('dota', 'roi-transformer_swin-t', 77.51, 'model zoo of mmrotate', 'another head, scored by the server'),
    Published('potsdam_five-classes', 'upernet_swin-b', 88.36, 'literature, origin not traced'),
    Published('vaihingen_five-classes', 'upernet_swin-b', 80.01, 'literature, origin not traced'),
    Published('potsdam_six-classes', 'deeplabv3plus_r50', 78.33, 'model zoo of mmsegmentation', 'another head'),
    Published('vaihingen_six-classes', 'deeplabv3plus_r50', 73.97, 'model zoo of mmsegmentation', 'another head'),
    Published('loveda', 'deeplabv3plus_r50', 50.99, 'model zoo of mmsegmentation', 'another head'),
    Published('isaid', 'upernet_swin-t', 64.10, 'RSP, TGRS 2022', 'pre-trained on aerial images'),
)


def paper_tables(results: Sequence[Result]) -> list[Table]:
    """One table per backbone that was trained on a data set of the paper: trained parameters, share of memory, and the
    main metric of each data set, with published full fine-tuning in rows of its own where head, backbone and protocol
    agree.
    """
    runs = [r for r in results if r.kind == 'accuracy' and r.dataset in _DATASETS]
    return [_of_backbone(results, runs, backbone) for backbone in unique(_backbone(r.model) for r in runs)]


def published_table() -> Table:
    """What others published of full fine-tuning, and in what it differs."""
    rows = [[p.dataset, p.model, p.value, p.source, p.differs or 'agrees'] for p in PUBLISHED]
    return Table(
        'Published full fine-tuning',
        [
            Column('data'),
            Column('model'),
            Column('figure', '{:.2f}'),
            Column('source'),
            Column('split, classes, sizes, metric'),
        ],
        rows,
    )


def _backbone(model: str) -> str:
    return model.partition('_')[2]


def _of_backbone(results: Sequence[Result], runs: Sequence[Result], backbone: str) -> Table:
    mine = [r for r in runs if _backbone(r.model) == backbone]
    known = [r for r in mine if not r.error]
    cells = unique((r.dataset, r.model) for r in mine)
    methods = without_variants(methods_in_order(mine))
    columns = [Column('method'), Column('trained, M', '{:.2f}'), Column('memory of full', '{:.0%}')]
    columns += [
        Column(f'{_DATASETS[dataset][0]} ({model.partition("_")[0]})', '{:.1f}', largest_bold=True)
        for dataset, model in cells
    ]
    rows = [
        [
            method,
            find(known, method, lambda r: r.values['parameters']['trained_by_method'] / 1e6),
            _memory(results, unique(model for _, model in cells), method),
            *(_score(mine, cell, method) for cell in cells),
        ]
        for method in methods
    ]
    for p in PUBLISHED:
        if not p.differs and (p.dataset, p.model) in cells:
            figures = [p.value if cell == (p.dataset, p.model) else None for cell in cells]
            rows.append([f'full, published ({p.source})', None, None, *figures])
    return Table(f'{backbone}: full fine-tuning and what may take its place', columns, rows)


def _score(runs: Sequence[Result], cell: tuple[str, str], method: str) -> Any:
    return scores([r for r in runs if (r.dataset, r.model) == cell], method, _DATASETS[cell[0]][1])


def _memory(results: Sequence[Result], models: Sequence[str], method: str) -> Any:
    """The mean share over the settings in which full fine-tuning was measured of these models, for a method that was
    measured in all of them: means over other settings would not compare.
    """
    shares = []
    for model, setting in unique((r.model, r.setting) for r in results if r.kind == 'memory' and r.model in models):
        some = [r for r in results if (r.kind, r.model, r.setting) == ('memory', model, setting)]
        mine, full = (find(some, name, lambda r: r.values['peak']) for name in (method, FULL))
        if isinstance(full, int):
            shares.append(share(mine, full))
    if FAILED in shares or None in shares or not shares:
        return FAILED if FAILED in shares else None
    return statistics.mean(shares)
