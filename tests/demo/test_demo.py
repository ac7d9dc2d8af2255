import json
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from mmest.configs import configs_root
from mmest.datasets.synthetic import CLASSES, write_dataset
from mmest.demo import cache, pictures, pipeline
from mmest.demo.parts import CASES, METHODS
from mmest.demo.report import render_table, table_rows
from mmest.demo.side_by_side import run_side_by_side
from mmest.demo.verdict import CHANCE, iou_by_class, verdict


@pytest.fixture(scope='module')
def target(tmp_path_factory):
    out = tmp_path_factory.mktemp('demo') / 'data'
    write_dataset(out, dict(target=dict(val=2)), size=64, workers=1)
    return out / 'target'


@pytest.fixture
def rows():
    metrics = {f'{case.name}/{method}': dict(mIoU=50.0 + i) for case in CASES for i, method in enumerate(METHODS)}
    costs = {
        case.name: {
            method: dict(
                peak=(4 - i) * 2**20, step=0.1 * (3 - i), trainable_backbone=10, trainable_rest=20, attribution={}
            )
            for i, method in enumerate(METHODS)
        }
        for case in CASES
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
    for case in CASES:
        for method in METHODS:
            assert (configs_root() / 'demo' / f'{case.config(method)}.py').is_file()


def test_shares_are_of_full_and_the_table_has_every_row(rows):
    assert [row['memory_share'] for row in rows] == [1, 0.75, 0.5] * 2
    assert rows[2]['time_share'] == pytest.approx(1 / 3)
    console = Console(width=160, record=True, quiet=True)
    console.print(render_table(rows))
    json.dumps(rows)
    assert render_table(rows).row_count == len(CASES) * len(METHODS)


def test_pictures_are_written(target, rows, tmp_path):
    masks = np.zeros((2, 64, 64), np.uint8)
    pictures.sheet(tmp_path / 'sheet.png', 'two maps', target, dict(Full=masks, EST=masks), [0, 1], CLASSES)
    pictures.accuracy_over_memory(tmp_path / 'plot.png', rows)
    for name in ('sheet.png', 'plot.png'):
        assert np.asarray(Image.open(tmp_path / name)).std() > 10


@pytest.mark.parametrize(
    'frozen, est, full, said',
    [
        (20.0, 20.1 + CHANCE, 50.0, 'the side network matters'),
        (50.0, 50.0 + CHANCE, 51.0, 'the side network does not matter'),
        (50.0, 50.0 - CHANCE, 60.0, 'only training the backbone gives more'),
        (50.0, 49.9 - CHANCE, 60.0, 'the side network does harm, take Frozen'),
    ],
)
@pytest.mark.parametrize('case', CASES, ids=lambda case: case.name)
def test_a_verdict_follows_from_what_was_measured(case, frozen, est, full, said):
    miou = dict(full=full, frozen=frozen, est=est)
    classes = {method: dict(water=80.0, road=value) for method, value in miou.items()}
    sentence = verdict(case, miou, classes)
    assert said in sentence and f'{est:.1f} with EST, {frozen:.1f} with Frozen, {full:.1f} with Full' in sentence
    if est - frozen > CHANCE:
        assert f'IoU of road {est:.0f} with EST, {frozen:.0f} with Frozen' in sentence, 'the class that gained most'
    as_expected = (est - frozen > CHANCE) == case.gain and est - frozen >= -CHANCE
    assert (case.why in sentence) == as_expected and ('not expected' in sentence) != as_expected


def test_one_case_is_expected_to_gain_and_one_not():
    assert sorted(case.gain for case in CASES) == [False, True]


def test_iou_by_class_is_of_pixels():
    """Three pixels of a, of which one is taken for b; two of b, right; c does not occur."""
    pairs = np.array([[2, 1, 0], [0, 2, 0], [0, 0, 0]])
    assert iou_by_class(pairs, ('a', 'b', 'c')) == pytest.approx(dict(a=200 / 3, b=200 / 3))


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


def test_what_libraries_say_of_the_runs_goes_to_the_log(tmp_path, monkeypatch, capsys):
    @dataclass
    class Run:
        name: str = ''

    def read_run(folder):
        print(f'Loads {folder.name}')
        return Run()

    monkeypatch.setattr(pipeline, 'read_run', read_run)
    monkeypatch.setattr(pipeline, 'write_report', lambda *args: None)
    pipeline.Demo(tmp_path, Console())._page([])
    assert capsys.readouterr().out == '' and 'Loads est' in (tmp_path / 'log.txt').read_text()
