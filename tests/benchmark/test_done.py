"""What need not run again."""

import json

import pytest

from mmest.benchmark import config_text
from mmest.benchmark.cell import Cell
from mmest.benchmark.done import cells_to_run, is_done, is_settled
from mmest.benchmark.grid import read_grid
from mmest.benchmark.training import chosen_factor
from mmest.configs import configs_root
from mmest.files import write_json


def test_only_the_same_request_is_done(tmp_path):
    path, asked = tmp_path / 'cell.json', dict(kind='memory', size=[64, 64])
    assert not is_done(path, asked)
    path.write_text(json.dumps(dict(asked, failed=False, peak=1)))
    assert is_done(path, asked)
    assert not is_done(path, dict(asked, size=[64, 96]))
    path.write_text(json.dumps(dict(asked, failed=True)))
    assert not is_done(path, asked)


def sweep_of(*factors):
    return dict(factors=list(factors), held_out=0.2, seeds=[0], of='method', cells=[f'x{f:g}' for f in factors])


@pytest.fixture
def trained(tmp_path):
    """A training at the better of two rates, ×1, and what was asked for."""
    for factor, score in {0.3: 0.5, 1: 0.6}.items():
        write_score(tmp_path, factor, score)
    asked = dict(kind='accuracy', seed=1, sweep=sweep_of(0.3, 1))
    path = tmp_path / 'cell.json'
    found = dict(factor=1.0, sweep_scores={'0.3': 50.0, '1': 60.0}, metrics={'coco/bbox_mAP': 0.7}, commit='abc')
    path.write_text(json.dumps(dict(asked, **found, failed=False)))
    return path, asked


def write_score(folder, factor, score, held_out=0.2):
    record = dict(failed=False, metrics={'coco/bbox_mAP': score}, held_out=held_out)
    (folder / f'x{factor:g}.json').write_text(json.dumps(record))


def test_a_widened_sweep_that_chooses_the_same_rate_keeps_the_training(trained):
    path, asked = trained
    wider = dict(asked, sweep=sweep_of(0.3, 1, 3))
    write_score(path.parent, 3, 0.4)
    before = json.loads(path.read_text())
    assert not is_done(path, wider)
    assert is_settled(path, wider)
    after = json.loads(path.read_text())
    assert after == {
        **before, 'sweep': wider['sweep'], 'sweep_scores': {'0.3': 50.0, '1': 60.0, '3': pytest.approx(40.0)}
    }  # fmt: skip
    assert is_done(path, wider)


@pytest.mark.parametrize(
    'other',
    [
        dict(seed=2),
        dict(sweep=dict(sweep_of(0.3, 1, 3), held_out=0.3)),
        dict(sweep=dict(sweep_of(0.3, 1, 3), of=None)),
        dict(sweep=sweep_of(0.3, 1, 3, 10)),
        dict(sweep=None),
    ],
    ids=['another seed', 'a sweep not made yet', 'another rate', 'a rate not tried yet', 'no sweep'],
)
def test_a_training_of_another_kind_is_not_kept(trained, other):
    path, asked = trained
    write_score(path.parent, 3, 0.4)
    before = path.read_bytes()
    assert not is_settled(path, dict(asked, **other))
    assert path.read_bytes() == before


def test_a_sweep_on_other_data_that_chooses_the_same_rate_keeps_the_training(trained):
    path, asked = trained
    for factor, score in {0.3: 0.4, 1: 0.45}.items():
        write_score(path.parent, factor, score, held_out=['t1_*'])
    assert is_settled(path, dict(asked, sweep=dict(sweep_of(0.3, 1), held_out=['t1_*'])))
    assert json.loads(path.read_text())['sweep_scores'] == {'0.3': pytest.approx(40.0), '1': pytest.approx(45.0)}


def test_a_widened_sweep_that_chooses_a_new_rate_keeps_nothing(trained):
    path, asked = trained
    write_score(path.parent, 3, 0.9)
    before = path.read_bytes()
    assert not is_settled(path, dict(asked, sweep=sweep_of(0.3, 1, 3)))
    assert path.read_bytes() == before


def test_a_sweep_without_a_score_is_left_to_its_cell(trained):
    path, asked = trained
    for factor in (0.3, 1):
        (path.parent / f'x{factor:g}.json').write_text(json.dumps(dict(failed=True, held_out=0.2)))
    before = path.read_bytes()
    assert not is_settled(path, dict(asked, sweep=sweep_of(0.3, 1, 3)))
    assert path.read_bytes() == before


def fail(folder, factor):
    (folder / f'x{factor:g}.json').write_text(json.dumps(dict(failed=True, held_out=0.2, error=['killed'])))


def test_a_training_is_not_done_once_its_sweep_chooses_another_rate(trained):
    """Its best rate may have failed at first, or have been run again since."""
    path, asked = trained
    assert is_done(path, asked)
    write_score(path.parent, 0.3, 0.9)
    before = path.read_bytes()
    assert not is_done(path, asked) and not is_settled(path, asked)
    assert path.read_bytes() == before


@pytest.mark.parametrize('score', [0.4, None])
def test_a_training_whose_rate_is_chosen_again_is_kept_with_the_scores_of_now(trained, score):
    path, asked = trained
    if score is None:
        fail(path.parent, 0.3)
    else:
        write_score(path.parent, 0.3, score)
    assert not is_done(path, asked)
    assert is_settled(path, asked) and is_done(path, asked)
    assert json.loads(path.read_text())['sweep_scores'] == {'0.3': score and 100 * score, '1': 60.0}


@pytest.mark.parametrize('gone', [[0.3], [1], [0.3, 1]])
def test_a_training_without_all_records_of_its_sweep_is_done(trained, gone):
    path, asked = trained
    write_score(path.parent, 0.3, 0.9)
    for factor in gone:
        (path.parent / f'x{factor:g}.json').unlink()
    assert is_done(path, asked) and is_settled(path, asked)


def test_a_training_whose_sweep_has_failed_whole_is_done(trained):
    path, asked = trained
    fail(path.parent, 0.3)
    fail(path.parent, 1)
    assert is_done(path, asked)


def test_a_sweep_on_other_data_says_nothing_of_a_training(trained):
    path, asked = trained
    write_score(path.parent, 0.3, 0.9, held_out=['t1_*'])
    assert is_done(path, asked)


def test_a_training_is_looked_at_again_when_its_sweep_runs(trained):
    """What is to run is told before the sweep has its scores."""
    path, asked = trained
    sweep = [Cell(f'x{factor:g}', dict(kind='sweep', factor=factor, held_out=0.2)) for factor in (0.3, 1)]
    for cell in sweep:
        write_json(path.parent / f'{cell.name}.json', dict(cell.request, failed=False, metrics=dict(mIoU=60.0)))
    write_json(path, {**json.loads(path.read_text()), 'sweep_scores': {'0.3': 60.0, '1': 60.0}})
    score, other = Cell('cell', asked), Cell('other', dict(kind='memory'))
    write_json(path.parent / 'other.json', dict(kind='memory', failed=False))
    cells = [*sweep, score, other]
    assert cells_to_run(cells, path.parent) == []
    fail(path.parent, 0.3)
    write_json(path, {**json.loads(path.read_text()), 'sweep_scores': {'0.3': None, '1': 60.0}})
    assert is_done(path, asked)
    assert cells_to_run(cells, path.parent) == [sweep[0], score]
    assert cells_to_run([score, other], path.parent) == []


@pytest.fixture
def request_with(tmp_path, monkeypatch):
    """What a grid asks of a config whose data lies in a folder that the environment names, or does not."""
    grid = tmp_path / 'grid.py'
    grid.write_text(f"accuracy = [dict(configs=['{configs_root() / 'demo' / 'fpn_swin_est.py'}'], tunings=['est'])]")

    def ask(folder: str | None) -> dict:
        for remembered in (config_text._read, config_text._text):
            remembered.cache_clear()
        monkeypatch.delenv('MMEST_DEMO_DIR', raising=False)
        if folder is not None:
            monkeypatch.setenv('MMEST_DEMO_DIR', folder)
        return read_grid(str(grid))[0].request

    return ask


@pytest.mark.parametrize('there', ['/a', '/a/' + 'very_long_folder_name/' * 8 + 'of/data', None])
def test_a_record_of_another_machine_is_done(tmp_path, request_with, there):
    path = tmp_path / 'record.json'
    path.write_text(json.dumps(dict(request_with('/data/of/the/other/machine'), failed=False)))
    assert is_done(path, request_with(there))
    assert not is_done(path, dict(request_with(there), seed=7))


def test_a_config_is_compared_by_what_it_says(tmp_path, request_with):
    """How long the path to the data was decides where the lines of the text end."""
    path, asked = tmp_path / 'record.json', request_with(None)
    text = asked['config_text'].replace('dict(', 'dict(\n    ')
    path.write_text(json.dumps(dict(asked, config_text=text, failed=False)))
    assert is_done(path, asked)
    path.write_text(json.dumps(dict(asked, config_text=text.replace('AdamW', 'SGD'), failed=False)))
    assert not is_done(path, asked)


CUT = pytest.mark.parametrize('content', ['{"failed": fal', '', '[]', '{}', '\udcff'])


def cut(path, content):
    path.write_bytes(content.encode(errors='surrogateescape'))


@CUT
def test_a_record_that_is_cut_off_is_none(trained, content):
    path, asked = trained
    cut(path, content)
    assert not is_done(path, asked) and not is_settled(path, asked)


@CUT
def test_a_record_of_a_sweep_that_is_cut_off_is_none(trained, content):
    path, asked = trained
    write_score(path.parent, 3, 0.4)
    cut(path.parent / 'x3.json', content)
    assert is_settled(path, asked)
    assert not is_settled(path, dict(asked, sweep=sweep_of(0.3, 1, 3)))
    assert chosen_factor(dict(asked, sweep=sweep_of(1, 3)), path.parent)['factor'] == 1


@pytest.mark.parametrize(
    ('error', 'score'),
    [
        ('InvalidTraining: loss_cls is nan and has not been finite since iteration 25: the training diverged.', 0.0),
        ('RuntimeError: The loss became infinite or NaN.', 0.0),
        ('torch.OutOfMemoryError: CUDA out of memory.', None),
    ],
)
def test_a_rate_that_diverges_is_tried_and_one_that_ran_out_of_memory_is_not(trained, error, score):
    path, asked = trained
    record = dict(failed=True, error=['Traceback (most recent call last):', error], held_out=0.2)
    (path.parent / 'x3.json').write_text(json.dumps(record))
    found = chosen_factor(dict(asked, sweep=sweep_of(0.3, 1, 3)), path.parent)
    assert found == dict(factor=1.0, sweep_scores={'0.3': 50.0, '1': 60.0, '3': score})
