import json
from functools import partial

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mmest.configs import configs_root
from mmest.datasets.synthetic import OBJECT_CLASSES, write_dataset
from mmest.demo import cache, pictures
from mmest.demo.parts import METHODS, TASKS
from mmest.demo.report import render_table, table_rows
from mmest.demo.side_by_side import run_side_by_side


@pytest.fixture(scope='module')
def target(tmp_path_factory):
    out = tmp_path_factory.mktemp('demo') / 'data'
    write_dataset(out, dict(target=dict(val=2)), size=64, workers=1)
    return out / 'target'


@pytest.fixture
def rows():
    metrics = {
        f'{task.name}/{method}': {task.metric: 50 / task.factor + i}
        for task in TASKS
        for i, method in enumerate(METHODS)
    }
    costs = {
        task.name: {
            method: dict(
                peak=(4 - i) * 2**20, step=0.1 * (3 - i), trainable_backbone=10, trainable_rest=20, attribution={}
            )
            for i, method in enumerate(METHODS)
        }
        for task in TASKS
    }
    return table_rows(metrics, costs)


def test_a_result_is_found_under_its_key_only(tmp_path):
    key, other = cache.key_of('config', dict(b=1, a=2)), cache.key_of('config', dict(b=1, a=3))
    assert key == cache.key_of('config', dict(a=2, b=1)) != other
    assert cache.load(tmp_path, key) is None
    cache.store(tmp_path, key, dict(mIoU=50.0))
    assert cache.load(tmp_path, key) == dict(mIoU=50.0)
    assert cache.load(tmp_path, other) is None
    assert [path.name for path in tmp_path.iterdir()] == ['result.json']


def test_a_damaged_result_counts_as_none(tmp_path):
    (tmp_path / 'result.json').write_text('{"key": ')
    assert cache.load(tmp_path, 'x') is None


def test_every_run_has_its_config():
    for task in TASKS:
        for method in METHODS:
            assert (configs_root() / 'demo' / f'{task.config(method)}.py').is_file()


def test_shares_are_of_full_and_the_table_has_every_row(rows):
    assert [row['memory_share'] for row in rows] == [1, 0.75, 0.5] * 2
    assert rows[2]['time_share'] == pytest.approx(1 / 3)
    console = Console(width=160, record=True, quiet=True)
    console.print(render_table(rows))
    json.dumps(rows)
    assert render_table(rows).row_count == len(TASKS) * len(METHODS)


def test_pictures_are_written(target, rows, tmp_path):
    boxes = {
        f'{key}_{i}': value
        for i in range(2)
        for key, value in dict(
            boxes=np.float32([[4, 4, 20, 20], [8, 8, 9, 9]]), labels=np.array([0, 2]), scores=np.float32([0.9, 0.1])
        ).items()
    }
    masks = {f'mask_{i}': np.zeros((64, 64), np.uint8) for i in range(2)}
    pictures.detection_sheet(tmp_path / 'detection.png', target, dict(Full=boxes, EST=boxes), [0, 1], OBJECT_CLASSES)
    pictures.segmentation_sheet(
        tmp_path / 'segmentation.png', target, dict(Full=masks, EST=masks), [0, 1], TASKS[1].classes
    )
    pictures.accuracy_over_memory(tmp_path / 'plot.png', rows)
    for name in ('detection.png', 'segmentation.png', 'plot.png'):
        assert np.asarray(Image.open(tmp_path / name)).std() > 10


def double(value, progress):
    progress(0.5)
    if value < 0:
        raise ValueError(f'{value} is below zero')
    return dict(twice=2 * value)


def test_jobs_side_by_side_report_and_return(tmp_path):
    seen, results = [], {}
    run_side_by_side(
        {str(i): partial(double, i) for i in range(3)},
        tmp_path / 'log.txt',
        lambda name, share: seen.append((name, share)),
        lambda name, result: results.update({name: result}),
    )
    assert results == {str(i): dict(twice=2 * i) for i in range(3)}
    assert set(seen) <= {(str(i), 0.5) for i in range(3)}
    with pytest.raises(ValueError, match='-1 is below zero'):
        run_side_by_side({'bad': partial(double, -1)}, tmp_path / 'log.txt', lambda *_: None, lambda *_: None)
