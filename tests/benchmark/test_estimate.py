"""What a grid will take, from records or from a step."""

import json
import zipfile

import pytest
from mmengine.config import Config

from mmest.benchmark.cell import Cell
from mmest.benchmark.estimate import (
    Estimate,
    by_config,
    from_records,
    from_steps,
    of_what_is_left,
    summary,
    training_size,
    training_steps,
)
from mmest.benchmark.grid import read_grid
from mmest.benchmark.measuring import measure, work_folder
from mmest.benchmark.record import read_folder
from mmest.cli import main
from mmest.measure.environment import hardware


def cell(name, **changes):
    return Cell(name, dict(dict(kind='accuracy', config='a/b_est.py', variant='', method='est', seed=0), **changes))


def test_records_of_other_seeds_and_rates_tell(tmp_path):
    for name, seconds, change in (
        ('a', 100, {}),
        ('b', 300, dict(kind='sweep', factor=3)),
        ('c', 9, dict(method='full')),
        ('d', 1, dict(failed=True)),
        ('e', 2, dict(hardware='Another Processor, 2 threads')),
    ):
        here = f'{hardware("cpu").partition(",")[0]}, 7 threads'
        record = dict(dict(cell(name).request, failed=False, wall_seconds=seconds, hardware=here), **change)
        (tmp_path / f'{name}.json').write_text(json.dumps(record))
    (tmp_path / 'cut.json').write_text('{"kind": "acc')
    (tmp_path / 'measured_by_hand.json').write_text(json.dumps(dict(config='a/b_est.py', wall_seconds=5)))
    cells = [cell('new', seed=7), cell('lora', method='lora'), cell('other', variant='other')]
    cells.append(cell('on_a_card', kind='memory', device='cuda'))
    known = from_records(cells, read_folder(tmp_path)[0])
    assert {name: e.seconds for name, e in known.items()} == dict(new=200)
    assert summary(cells, known, jobs=2) == '1 cells take about 0.0 h; of 3 it is not known.'
    assert 'not known' in summary(cells, {}, 1)


def test_a_training_beside_others_tells_of_such_ones_and_took_its_share(tmp_path):
    """All of a bundle are recorded at its end."""
    here = hardware('cpu')
    records = [
        dict(cell('a').request, failed=False, wall_seconds=100, hardware=here),
        dict(cell('b').request, failed=False, wall_seconds=60, hardware=here, side_by_side=3),
        dict(cell('c').request, failed=False, wall_seconds=7, hardware=here, kind='memory'),
    ]
    cells = [cell('new', seed=7), cell('memory', kind='memory')]
    for together, seconds in ((False, 100), (True, 20)):
        known = from_records(cells, records, together)
        assert {name: one.seconds for name, one in known.items()} == dict(new=seconds, memory=7)


STEP = dict(kind='time', size=[64, 64], batch_size=2, precision='fp32', device='cpu', steps=20)


@pytest.mark.parametrize(
    'change',
    [
        dict(size=[64, 128]), dict(batch_size=8), dict(precision='amp'), dict(device='cuda'), dict(steps=50),
        dict(config='a/c_est.py'), dict(variant='few'), dict(kind='memory'),
    ],
)  # fmt: skip
def test_records_of_other_steps_say_nothing(change):
    asked, here = cell('new', **STEP), dict(failed=False, wall_seconds=9, hardware=hardware('cpu'))
    assert from_records([asked], [dict(asked.request, **here)])['new'].seconds == 9
    assert not from_records([asked], [dict(cell('old', **{**STEP, **change}).request, **here)])


def test_one_step_tells_of_all_seeds(config, tmp_path):
    grid, name = tmp_path / 'grid.py', config('retinanet_swin_est')
    grid.write_text(f"accuracy = [dict(configs=['{name}'], tunings=['est'], seeds=[0, 1])]")
    (one, first), (other, second) = from_steps(read_grid(str(grid)))
    assert first is second and first.seconds > 0 and not first.reason
    assert first.peak > 2**20
    assert 'GiB' in summary([one], {one.name: first}, 1)
    ((config_of_both, *row),) = by_config([one, other], {one.name: first}).rows
    assert config_of_both.endswith('retinanet_swin_est.py')
    assert row == [2, first.seconds / 3600, first.peak / 2**30, 1]


def test_hours_of_a_cpu_are_said_to_be(config, tmp_path, monkeypatch, capsys):
    grid = tmp_path / 'grid.py'
    grid.write_text(f"accuracy = [dict(configs=['{config('retinanet_swin_est')}'], tunings=['est'], seeds=[0])]")
    for there in (False, True):
        estimate = Estimate(3600.0, 2**30)
        monkeypatch.setattr('mmest.cli.benchmark.from_steps', lambda cells: ((one, estimate) for one in cells))
        monkeypatch.setattr('torch.cuda.is_available', lambda: there)
        main(['benchmark', str(grid), '--out', str(tmp_path / 'out'), '--estimate'])
        said = ' '.join(capsys.readouterr().out.split())
        assert 'takes about 1.0 h' in said or 'take about 1.0 h' in said
        assert ('Steps were timed on the CPU, for there is no CUDA here.' in said) == (not there)


def test_without_data_nothing_is_measured(config, tmp_path, monkeypatch, capsys):
    """A step of each method takes hours on a CPU, and the data is not there for any of them."""
    path, grid = config('retinanet_swin_est'), tmp_path / 'grid.py'
    path.write_text(
        f"{path.read_text()}train_dataloader['dataset'] = dict(ann_file='away.json')\n"
        "train_cfg = dict(_delete_=True, type='EpochBasedTrainLoop', max_epochs=2)\n"
    )
    grid.write_text(f"accuracy = [dict(configs=['{path}'], tunings=['est', 'full'], seeds=[0, 1])]")
    monkeypatch.setattr('mmest.benchmark.estimate.prepare', None)
    main(['benchmark', str(grid), '--out', str(tmp_path / 'out'), '--estimate'])
    said = ' '.join(capsys.readouterr().out.split())
    assert 'and 3 more: ' in said and 'away.json is not there' in said
    assert said.count('not there') == 1 and 'How long these 4 cells take is not known' in said


@pytest.mark.parametrize('name', ['fpn_swin_est', 'retinanet_swin_est'])
def test_size_and_steps_are_those_of_the_config(config, name):
    cfg = Config.fromfile(config(name))
    assert training_size(cfg) == (64, 64)
    assert training_steps(cfg) == 3
    cfg.train_cfg = dict(max_epochs=2)
    assert training_steps(cfg) == 2 * 12
    cfg.train_dataloader.batch_size = 7  # of 24 images, so that the last batch of an epoch is a smaller one
    assert training_steps(cfg) == 2 * 4


@pytest.mark.parametrize(
    'scope, transform, size',
    [
        ('mmseg', dict(type='RandomCrop', crop_size=(256, 128)), (256, 128)),
        ('mmdet', dict(type='RandomCrop', crop_size=(256, 128)), (128, 256)),
        ('mmdet', dict(type='mmdet.Resize', scale=(1333, 800)), (800, 1333)),
    ],
)
def test_sizes_that_pipelines_say(scope, transform, size):
    dataset = dict(type='RepeatDataset', dataset=dict(pipeline=[dict(type='LoadImageFromFile'), transform]))
    assert training_size(Config(dict(default_scope=scope, train_dataloader=dict(dataset=dataset)))) == size


def test_of_resized_and_cropped_images_the_size_of_the_crop_counts():
    resize, crop = dict(type='RandomResize', scale=(2048, 512)), dict(type='RandomCrop', crop_size=(256, 128))
    cfg = Config(dict(default_scope='mmseg', train_dataloader=dict(dataset=dict(pipeline=[resize, crop]))))
    assert training_size(cfg) == (256, 128)


@pytest.mark.parametrize(
    ('schedule', 'file', 'left'),
    [
        (dict(max_iters=800), 'iter_200', 0.75),
        (dict(max_epochs=12), 'epoch_9', 0.25),
        (dict(max_iters=10), 'iter_10', 0.0),  # cut off in its last validation
        (dict(max_epochs=12), 'iter_500', 1.0),  # does not say how many epochs
    ],
)
def test_of_a_training_that_was_cut_off_the_rest_is_left(tmp_path, schedule, file, left):
    """Told by the name of its checkpoint: what is in the file would not load."""
    config = f"default_scope = 'mmdet'\nmodel = dict(type='RetinaNet')\ntrain_cfg = {schedule}"
    cells = [cell(name, config_text=config, tuning={}) for name in ('cut', 'new', 'again', 'unknown')]
    for one in cells:
        if one.name != 'new':
            folder = work_folder(one, tmp_path)
            folder.mkdir()
            with zipfile.ZipFile(folder / f'{file}.pth', 'w') as archive:
                archive.writestr('data.pkl', b'damaged')
    (work_folder(cells[2], tmp_path) / 'recorded').touch()  # its record was removed: it begins anew
    other = cell('cut', config_text=config, tuning={}, seed=9)  # of another request, whose folder is another
    known = dict.fromkeys(('cut', 'new', 'again'), Estimate(3600, 7))
    found = of_what_is_left(cells, known, tmp_path)
    assert {name: one.seconds for name, one in found.items()} == dict(cut=3600 * left, new=3600, again=3600)
    assert found['cut'].peak == 7
    assert of_what_is_left([other], known, tmp_path) == known
    assert summary(cells[:2], found, 1).startswith(f'2 cells take about {1 + left:.1f} h')


def test_a_record_counts_what_a_training_took_before_it_was_cut_off(tmp_path, monkeypatch):
    """By which others are foretold."""
    found = dict(earlier_seconds=500.0, metrics={})
    monkeypatch.setattr('mmest.benchmark.training.train_and_score', lambda *_: dict(found))
    measure(cell('a'), tmp_path / 'a.json', tmp_path, None)
    record = json.loads((tmp_path / 'a.json').read_text())
    assert record['wall_seconds'] == pytest.approx(500, abs=60) and record['wall_seconds'] >= 500
    assert 'earlier_seconds' not in record
