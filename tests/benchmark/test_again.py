"""Trainings that have a record are drawn, trained once more, and compared."""

import json

import pytest

from mmest.benchmark.again import AGAIN, draw_again
from mmest.benchmark.cell import Cell
from mmest.benchmark.measuring import measure
from mmest.benchmark.tables.repeated import read_again, repeated
from mmest.benchmark.tables.results import read_results
from mmest.cli import main

SWEEP = dict(of='method', factors=[1.0, 3.0], cells=['sweep_x1', 'sweep_x3'])


def cell(name: str, kind: str = 'accuracy', **request) -> Cell:
    return Cell(name, dict(kind=kind, sweep=SWEEP, **request))


@pytest.fixture
def cells(tmp_path):
    """Eight trainings, six of them with a record, a failure and one of another request; and a measurement."""
    cells = [cell(f'accuracy_{i}', seed=i) for i in range(8)]
    for i, one in enumerate(cells[:7]):
        asked = dict(one.request, seed=99) if i == 5 else one.request
        record = dict(asked, factor=3.0, failed=i == 6)
        (tmp_path / f'{one.name}.json').write_text(json.dumps(record))
    memory = cell('memory_0', 'memory')
    (tmp_path / 'memory_0.json').write_text(json.dumps(dict(memory.request, failed=False)))
    return [*cells, memory]


def test_the_drawn_have_a_record_and_train_at_its_rate(cells, tmp_path):
    drawn = draw_again(cells, tmp_path, 99, 0)
    assert sorted(one.name for one in drawn) == [f'accuracy_{i}' for i in range(5)]
    for one in drawn:
        assert (one.request['sweep'], one.request['factor'], one.request['factor_of']) == (None, 3.0, 'method')
        assert one.request['seed'] == int(one.name[-1])


def test_a_draw_can_be_repeated_and_another_is_another(cells, tmp_path):
    names = [[one.name for one in draw_again(cells, tmp_path, 3, draw)] for draw in (0, 1, 2)]
    assert names[0] == [one.name for one in draw_again(cells[::-1], tmp_path, 3, 0)], 'in whatever order they come'
    assert len({tuple(sorted(some)) for some in names}) > 1


def test_without_records_there_is_nothing_to_draw(cells, tmp_path):
    with pytest.raises(ValueError, match='no record of a training that this grid asks for'):
        draw_again(cells, tmp_path / AGAIN, 3, 0)


def write(folder, method: str, seed: int, score: float, factor: float = 1.0, **changes) -> None:
    folder.mkdir(exist_ok=True)
    record = dict(
        kind='accuracy',
        config='configs/detection/sea/net_small_est.py',
        method=method,
        seed=seed,
        factor=factor,
        failed=False,
        metrics={'mIoU': score},
    )
    name = '_'.join(map(str, (method, seed, *changes.values())))
    (folder / f'{name.replace("/", "-")}.json').write_text(json.dumps(record | changes))


def test_the_deviation_is_pooled_over_methods(tmp_path):
    for method, values in dict(full=[50, 52], est=[60, 64, 62], lora=[7]).items():
        for seed, value in enumerate(values):
            write(tmp_path, method, seed, value)
    for seed, value in enumerate([10, 90]):  # trained otherwise, so that it says nothing of the others' seeds
        write(tmp_path, 'est', seed, value, variant='few images')
        write(tmp_path, 'est', seed, value, config='configs/detection/lake/net_small_est.py')
    write(tmp_path / AGAIN, 'full', 0, 53.7)
    write(tmp_path / AGAIN, 'est', 2, 58.0)
    write(tmp_path / AGAIN, 'est', 1, 0.0, failed=True, error=['killed'])
    table, verdict = repeated(read_results([tmp_path]), read_again([tmp_path]))
    # Squares of distances from the means: 1 + 1 of Full, 4 + 4 + 0 of EST; three degrees of freedom.
    deviation = (10 / 3) ** 0.5
    assert [row[1:] for row in table.rows] == [
        [62.0, 58.0, -4.0, pytest.approx(deviation)],
        [50.0, 53.7, pytest.approx(3.7), pytest.approx(deviation)],
    ]
    assert verdict == '0 of 2 are within 2 deviations of their record.'


def test_one_seed_of_each_gives_no_verdict(tmp_path):
    write(tmp_path, 'full', 0, 50)
    write(tmp_path / AGAIN, 'full', 0, 51)
    table, verdict = repeated(read_results([tmp_path]), read_again([tmp_path]))
    assert table.rows[0][-1] is None and 'no deviation is known' in verdict


def test_a_run_at_another_rate_than_the_record_is_no_repetition(tmp_path):
    for factor in (1.0, 3.0):
        write(tmp_path, 'est', 0, 50)
        write(tmp_path / AGAIN, 'est', 0, 51, factor)
        table, verdict = repeated(read_results([tmp_path]), read_again([tmp_path]))
        assert len(table.rows) == (factor == 1.0)
        assert ('Not shown: 1 more, whose record is of another rate now' in verdict) == (factor == 3.0)


def test_a_cell_whose_record_is_gone_begins_anew(tmp_path, monkeypatch):
    asked = cell('memory_0', 'memory')
    seen = []
    monkeypatch.setattr(
        'mmest.benchmark.training_step.measure_memory',
        lambda request, folder: seen.append(sorted(path.name for path in folder.glob('*.pth'))) or {},
    )
    work = tmp_path / 'work'
    work.mkdir()
    (work / 'iter_1.pth').touch()  # of a run that was cut off: there is no record yet
    for _ in range(2):
        measure(asked, tmp_path / 'record.json', work, None)
        (tmp_path / 'record.json').unlink()
    assert seen == [['iter_1.pth'], []]


def test_trained_and_trained_again(config, tmp_path, monkeypatch, capsys):
    """Without processes for the cells, which would have the environment of those of another test."""

    def run_grid(cells, out, work, console, jobs):
        for cell in cells:
            (work / cell.name).mkdir(parents=True, exist_ok=True)
            measure(cell, out / f'{cell.name}.json', work / cell.name, None)
        return []

    monkeypatch.setattr('mmest.cli.benchmark.run_grid', run_grid)
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'grid.py').write_text(
        f"accuracy = [dict(configs=['{config('fpn_swin_est')}'], tunings=['frozen'], seeds=[0, 1])]"
    )
    command = ['benchmark', 'grid.py', '--out', 'out']
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'half.json').write_text('{"failed": fal')
    main(command)
    assert 'out/half.json is cut off' in capsys.readouterr().out
    main([*command, '--estimate'])
    assert 'out/half.json is cut off' in capsys.readouterr().out
    with pytest.raises(SystemExit, match='half.json is no record that can be read'):
        main([*command, '--again', '1'])
    (tmp_path / 'out' / 'half.json').unlink()
    main([*command, '--again', '1'])
    records = list((tmp_path / 'out' / AGAIN).glob('*.json'))
    assert len(records) == 1
    first, second = (json.loads(path.read_text()) for path in (tmp_path / 'out' / records[0].name, records[0]))
    assert second['metrics'] == first['metrics'] and [x for x, _ in second['losses']] == [1, 2, 3]
    said = ' '.join(capsys.readouterr().out.split())
    assert '1 of 1 are within 2 deviations' in said and 'fpn_swin on' in said
