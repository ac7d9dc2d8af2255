"""Records of a few cells, and what a table says of each method."""

import csv
import io

from mmest.benchmark.tables.table import Table
from mmest.measure.memory import CATEGORIES


def training(dataset: str, method: str, seed: int, score: float, **changes) -> dict:
    return dict(
        dict(
            kind='accuracy',
            config=f'configs/detection/{dataset}/net_small_est.py',
            method=method,
            seed=seed,
            failed=False,
            metrics={'coco/bbox_mAP': score, 'coco/bbox_mAP_50': 2 * score, 'coco/bbox_mAP_s': -1.0},
            losses=[[1, 2.0], [2, 1.0]],
            tuning=dict(type=method, lr_mult=10),
            learning_rate=1e-4,
            parameters=dict(backbone=1000, trained_by_method=dict(full=1000).get(method, 20), trained_in_heads=100),
        ),
        **changes,
    )


def memory(method: str, peak: int, **changes) -> dict:
    row = dict(
        peak=peak,
        attribution=dict.fromkeys(CATEGORIES, peak / 9),
        phase='backward',
        part='heads',
        allocator=None,
        parameters=dict(backbone=1000, trained_by_method=20, trained_in_heads=100),
    )
    return dict(
        dict(
            kind='memory',
            config='configs/detection/sea/net_small_est.py',
            size=[64, 64],
            batch_size=2,
            precision='fp32',
            device='cpu',
            optimizer='AdamW',
            method=method,
            failed=False,
            tunings={method: row},
        ),
        **changes,
    )


def by_method(table: Table) -> dict:
    lines = list(csv.DictReader(io.StringIO(table.csv())))
    return {line['method']: line for line in lines}
