"""Tables say what the files say, and change when a file changes and not otherwise."""

import csv
import io
import json
import os
import re
import statistics
from pathlib import Path

import pytest
from mmengine.config import Config

from mmest.benchmark.tables.care import unequal_care
from mmest.benchmark.tables.comparison import attribution, comparison, training_details
from mmest.benchmark.tables.figures import pareto_front
from mmest.benchmark.tables.overview import (
    accuracy_overviews,
    costs_and_gains,
    memory_overviews,
    time_overviews,
)
from mmest.benchmark.tables.page import Page
from mmest.benchmark.tables.paper import paper_tables
from mmest.benchmark.tables.results import read_results
from mmest.benchmark.tables.standing import where_est_does_not_win
from mmest.benchmark.tables.table import Column, Spread, Table
from mmest.benchmark.tables.texts import fill, with_overview
from mmest.configs import configs_root
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


@pytest.fixture
def folder(tmp_path):
    records = tmp_path / 'records'
    records.mkdir()
    for dataset, scores in dict(
        sea=dict(full=[0.5, 0.6], est=[0.4, 0.5], lora=[0.45]), land=dict(full=[0.3], est=[0.35])
    ).items():
        for method, values in scores.items():
            for seed, value in enumerate(values):
                (records / f'{dataset}_{method}_{seed}.json').write_text(
                    json.dumps(training(dataset, method, seed, value))
                )
    for method, peak in dict(full=100 * 2**20, est=25 * 2**20).items():
        (records / f'memory_{method}.json').write_text(json.dumps(memory(method, peak)))
    broken = dict(memory('lora', 1), failed=True, error=['Traceback', 'RuntimeError: too wide'])
    del broken['tunings']
    (records / 'memory_lora.json').write_text(json.dumps(broken))
    (records / 'time.json').write_text(
        json.dumps(
            dict(
                config='configs/detection/sea/net_small_est.py',
                size=[64, 64],
                batch_size=2,
                precision='fp32',
                device='cpu',
                hardware='a processor',
                seconds=dict(full=[2.0, 1.0, 9.0], est=[1.0, 1.5, 0.1]),
            )
        )
    )
    return records


def by_method(table: Table) -> dict:
    lines = list(csv.DictReader(io.StringIO(table.csv())))
    return {line['method']: line for line in lines}


def test_the_comparison_against_figures_by_hand(folder):
    table = comparison(read_results([folder]), 'net_small')
    rows = by_method(table)
    assert list(rows) == ['full', 'lora', 'est']
    est, full, lora = rows['est'], rows['full'], rows['lora']
    assert float(est['trained, M']) == 20 / 1e6 and float(est['of backbone']) == 0.02
    assert float(est['memory, MB (2 × 64², fp32)']) == 25 and float(est['of full']) == 0.25
    assert (
        float(est['time, s (2 × 64², fp32, a processor)']) == 1.0
        and float(est['time of full (2 × 64², fp32, a processor)']) == 0.5
    )
    assert float(est['sea, bbox_mAP mean']) == pytest.approx(45)
    assert float(est['sea, bbox_mAP std']) == pytest.approx(statistics.stdev([40, 50]))
    assert float(est['average']) == pytest.approx((45 + 35) / 2) and float(full['average']) == pytest.approx(
        (55 + 30) / 2
    )
    assert (full['rank'], est['rank'], lora['rank']) == ('1 of 2', '2 of 2', '')
    assert lora['memory, MB (2 × 64², fp32)'] == 'failed' and lora['land, bbox_mAP mean'] == ''


def test_models_side_by_side(folder):
    for method, peak in dict(full=200, est=100, frozen=80).items():
        (folder / f'wide_{method}.json').write_text(
            json.dumps(memory(method, peak, config='configs/detection/sea/net_wide_est.py'))
        )
    results = read_results([folder])
    [table] = memory_overviews(results)
    assert table.title.endswith('(2 × 64², fp32)')
    rows = by_method(table)
    assert list(rows) == ['full', 'frozen', 'lora', 'est']
    assert [float(rows['est'][name]) for name in ('net_small', 'net_wide', 'average')] == [0.25, 0.5, 0.375]
    assert [rows[method]['rank'] for method in rows] == ['2 of 2', '', '', '1 of 2']
    assert rows['lora']['net_small'] == 'failed' and rows['frozen']['net_small'] == ''
    [table] = accuracy_overviews(results)
    assert float(by_method(table)['full']['sea, net_small mean']) == pytest.approx(55)
    assert not memory_overviews([result for result in results if result.model == 'net_small'])


def test_accuracy_and_costs_of_each_method_in_one_row(folder):
    rows = by_method(costs_and_gains(read_results([folder])))
    est = rows['est']
    assert float(est['accuracy against full, points']) == pytest.approx(((45 - 55) + (35 - 30)) / 2)
    assert float(est['memory of full']) == 0.25 and float(est['time of full']) == 0.5
    assert float(rows['lora']['accuracy against full, points']) == pytest.approx(45 - 55)
    assert rows['lora']['memory of full'] == '' and float(rows['full']['memory of full']) == 1


def test_times_side_by_side(folder):
    time = json.loads((folder / 'time.json').read_text())
    (folder / 'wide_time.json').write_text(
        json.dumps(
            dict(
                time, config='configs/detection/sea/net_wide_est.py', seconds=dict(full=[4.0], frozen=[1.0], est=[3.0])
            )
        )
    )
    [table] = time_overviews(read_results([folder]))
    rows = by_method(table)
    assert [float(rows['est'][name]) for name in ('net_small', 'net_wide', 'average')] == [0.5, 0.75, 0.625]
    assert rows['frozen']['net_small'] == rows['frozen']['average'] == '' and float(rows['frozen']['net_wide']) == 0.25


def test_a_variant_has_its_score_but_no_rank(folder, tmp_path):
    for dataset in ('sea', 'land'):
        (folder / f'{dataset}_wide.json').write_text(json.dumps(training(dataset, 'est', 0, 0.9, variant='wide')))
    rows = by_method(comparison(read_results([folder]), 'net_small'))
    assert float(rows['est, wide']['average']) == 90 and rows['est, wide']['rank'] == ''
    assert (rows['full']['rank'], rows['est']['rank']) == ('1 of 2', '2 of 2')
    _page(folder, tmp_path)
    assert 'wide' not in (tmp_path / 'benchmarks' / 'files' / 'net_small_sea_loss.svg').read_text()


def test_missing_and_failed_are_seen_in_every_form(folder):
    table = comparison(read_results([folder]), 'net_small')
    lora = next(line for line in table.markdown().splitlines() if line.startswith('| lora'))
    assert lora.count('—') >= 3 and 'failed' in lora
    assert '---' in next(line for line in table.latex().splitlines() if line.startswith('lora'))
    assert '45.0 ± 7.1' in table.markdown() and r'45.0 $\pm$ 7.1' in table.latex() and r'\%' in table.latex()
    assert '**55.0 ± 7.1**' in table.markdown()
    _page(folder, folder.parent / 'out')
    assert 'too wide' in (folder.parent / 'out' / 'benchmarks' / 'net_small.md').read_text()


def _page(folder: Path, out: Path) -> str:
    Page(read_results([folder]), 'The end.').write(out)
    return (out / 'benchmarks.md').read_text()


def _bytes(out: Path) -> dict:
    return {path.relative_to(out): path.read_bytes() for path in out.rglob('*') if path.is_file()}


def test_files_change_with_a_record_and_not_otherwise(folder, tmp_path):
    text = _page(folder, tmp_path / 'one')
    assert text.endswith('The end.') and '](benchmarks/' in text
    _page(folder, tmp_path / 'two')
    before = _bytes(tmp_path / 'one')
    assert _bytes(tmp_path / 'two') == before
    assert {path.suffix for path in before} == {'.md', '.csv', '.tex', '.svg', '.pdf'}
    shown = re.findall(r'\]\(([^)#]+)\)', text)
    assert {'benchmarks/overview.svg', 'benchmarks/net_small.md'} <= set(shown)
    assert all(Path(name) in before for name in shown)
    figures = {path.name for path in before if path.suffix == '.svg' and path.parent.name == 'files'}
    assert {'net_small_sea_loss.svg', 'net_small_memory_2x64_fp32.svg'} <= figures
    path = folder / 'sea_est_1.json'
    path.write_text(json.dumps(dict(json.loads(path.read_text()), metrics={'coco/bbox_mAP': 0.51})))
    _page(folder, tmp_path / 'two')
    changed = {str(name) for name, content in _bytes(tmp_path / 'two').items() if content != before[name]}
    assert changed and all(
        name == 'benchmarks.md' or 'net_small' in name or 'overview' in name or 'Accuracy_at_a_glance' in name
        for name in changed
    )
    assert not any('loss' in name or name.startswith('benchmarks/files/net_small_memory') for name in changed), (
        'these do not depend on it'
    )


def test_attribution_adds_up(folder):
    for row in by_method(attribution(read_results([folder]), 'net_small', '2 × 64², fp32')).values():
        if row['live peak'] != 'failed':
            parts = list(row.values())[2:-1]
            assert sum(map(float, parts)) == pytest.approx(float(row['live peak']))


def test_where_est_does_not_win_is_said(folder):
    lines = list(where_est_does_not_win(read_results([folder])))
    assert len(lines) == 1 and 'sea' in lines[0] and 'full (55.0)' in lines[0]


def test_the_front_is_what_nothing_beats():
    points = dict(a=(1, 1), b=(2, 3), c=(3, 2), d=(4, 4), e=(1, 0.5), f=(5, 4))
    beaten = {
        name
        for name, (memory, accuracy) in points.items()
        if any(m <= memory and a >= accuracy and (m, a) != (memory, accuracy) for m, a in points.values())
    }
    assert set(pareto_front(points)) == set(points) - beaten == {'a', 'b', 'd'}


def test_one_seed_has_no_deviation():
    table = Table('t', [Column('method'), Column('x', '{:.1f}')], [['a', Spread.of([1.0])]])
    assert '±' not in table.markdown() and table.csv().splitlines()[1] == 'a,1.0,,1'


def test_scores_that_read_alike_are_bold_alike():
    values = [75.34, 75.26, Spread.of([75.0, 75.6]), 75.24, None]
    table = Table('t', [Column('m'), Column('x', '{:.1f}', largest_bold=True)], [['a', value] for value in values])
    bold = ['**75.3**', '**75.3**', '**75.3 ± 0.4**', '75.2', '—']
    assert [line.split(' | ')[1].removesuffix(' |') for line in table.markdown().splitlines()[2:]] == bold
    assert table.latex().count(r'\textbf{75.3') == 3


def test_what_is_no_number_is_missing_and_beaten_by_all(folder):
    (folder / 'land_lora.json').write_text(json.dumps(training('land', 'lora', 0, float('nan'))))
    table = comparison(read_results([folder]), 'net_small')
    rows = by_method(table)
    assert rows['lora']['land, bbox_mAP mean'] == rows['lora']['rank'] == '' and rows['full']['rank'] == '1 of 2'
    table = Table('t', [Column('m'), Column('x', '{:.1f}', True)], [['a', float('nan')], ['b', 1.0], ['c', 0.5]])
    assert '| a | — |' in table.markdown() and '**1.0**' in table.markdown()


def test_names_with_the_letters_of_latex_and_markdown():
    name = r"my_$ea {'a': 1} 50% #1 & ~x^2 \o <b> c|d"
    table = Table('t', [Column(name), Column('x')], [[name, 1]])
    written = (
        r"my\_\$ea \{'a': 1\} 50\% \#1 \& \textasciitilde{}x\textasciicircum{}2 \textbackslash{}o "
        r'\textless{}b\textgreater{} c\textbar{}d'
    )
    assert table.latex().count(written) == 2
    assert all(len(re.split(r'(?<!\\)\|', line)) == 4 for line in table.markdown().splitlines())


def test_own_trainings_are_read_from_their_work_folders(tmp_path, monkeypatch):
    monkeypatch.setenv('MMEST_DEMO_DIR', str(tmp_path))
    run = tmp_path / 'work_dirs' / 'ships_fpn_swin_est'
    cfg = Config.fromfile(configs_root() / 'demo' / 'fpn_swin_est.py')
    for number, lines in enumerate(
        (
            ['{"loss": 3.0, "lr": 0.1, "step": 1}', '{"mIoU": 10.0, "time": 1.0, "step": 1}'],
            ['{"loss": 2.0, "lr": 0.1, "step": 2}', '{"mIoU": 30.0, "time": 1.0, "step": 2}'],
        )
    ):
        (run / f'2026_{number}' / 'vis_data').mkdir(parents=True)
        (run / f'2026_{number}' / 'vis_data' / 'scalars.json').write_text('\n'.join(lines))
    cfg.dump(run / 'fpn_swin_est.py')
    (run / 'earlier_swin_lora.py').write_text('nothing = "of this training"')
    os.utime(run / 'earlier_swin_lora.py', (1, 1))
    (result,) = read_results([tmp_path / 'work_dirs'])
    assert (result.model, result.dataset, result.method) == ('fpn_swin', 'ships', 'est (reduction=4)')
    assert result.values['metrics'] == dict(mIoU=30.0) and result.values['losses'] == [(1, 3.0), (2, 2.0)]
    row = by_method(comparison([result], 'fpn_swin'))[result.method]
    assert float(row['ships, mIoU mean']) == 30 and float(row['trained, M']) > 0


@pytest.fixture
def train_by_hand(tmp_path, monkeypatch):
    """A work folder of a training that scored so much; its name, and what its config has otherwise."""
    monkeypatch.setenv('MMEST_DEMO_DIR', str(tmp_path))

    def train(name: str, score: float, seed: int = 0, **options) -> Path:
        run = tmp_path / 'work_dirs' / name
        cfg = Config.fromfile(configs_root() / 'demo' / 'fpn_swin_est.py')
        cfg.merge_from_dict({'randomness.seed': seed, **options})
        (run / '2026' / 'vis_data').mkdir(parents=True)
        (run / '2026' / 'vis_data' / 'scalars.json').write_text(json.dumps(dict(mIoU=score, step=1)))
        cfg.dump(run / 'fpn_swin_est.py')
        return run

    return train


RATE = 'optim_wrapper.optimizer.lr'
OF_METHOD = 'model.backbone.tuning.lr_mult'


@pytest.mark.parametrize(
    'first, second, said',
    [
        ({RATE: 0.001}, {RATE: 0.0001}, ('lr=0.001', 'lr=0.0001')),
        ({OF_METHOD: 3}, {OF_METHOD: 30}, ('lr_mult=3', 'lr_mult=30')),
        ({RATE: 0.1, OF_METHOD: 3}, {RATE: 0.2, OF_METHOD: 5}, ('lr=0.1; lr_mult=3', 'lr=0.2; lr_mult=5')),
        ({'train_cfg.max_iters': 10}, {'train_cfg.max_iters': 20}, ('max_iters=10', 'max_iters=20')),
        ({}, {'memory': ['side_int8']}, (None, 'memory=side_int8')),
        ({'train_dataloader.batch_size': 3}, {'train_dataloader.batch_size': 4}, ('batch_size=3', 'batch_size=4')),
    ],
    ids=['rate', 'rate of the method', 'both', 'length', 'levers', 'batch'],
)
def test_trainings_by_hand_that_differ_in_more_than_their_seed_have_rows_of_their_own(
    train_by_hand, first, second, said
):
    runs = [train_by_hand('ships_fpn_swin_est', 30, **first), train_by_hand('ships_fpn_swin_est_other', 50, **second)]
    train_by_hand('ships_fpn_swin_est_again', 52, seed=1, **second)
    runs.append(runs[0].parent / 'ships_fpn_swin_est_again')
    for sources in (runs, [runs[0].parent]):  # each folder, or the one that has them
        results = read_results(sources)
        rows = by_method(training_details(results, 'fpn_swin', 'ships'))
        found = {name: (float(row['mIoU mean']), row['seeds']) for name, row in rows.items()}
        names = ['est (reduction=4)' if text is None else f'est (reduction=4; {text})' for text in said]
        assert found == {names[0]: (30, '1'), names[1]: (51, '2')}
        assert set(by_method(comparison(results, 'fpn_swin'))) == set(found)


def test_two_trainings_with_one_seed_are_refused(train_by_hand, folder):
    one, other = train_by_hand('ships_fpn_swin_est', 30), train_by_hand('ships_fpn_swin_est_copy', 50)
    with pytest.raises(
        ValueError, match=f'{one} and {other} are both of est .* for fpn_swin on ships with seed 0. Keep'
    ):
        read_results([one.parent])
    assert len(read_results([one, one])) == 1
    (folder / 'copy.json').write_text((folder / 'sea_est_1.json').read_text())
    with pytest.raises(
        ValueError, match=r'copy.json and .*sea_est_1.json are both of est for net_small on sea with seed 1'
    ):
        read_results([folder])


def test_bad_sources_get_a_sentence(tmp_path):
    with pytest.raises(FileNotFoundError, match='nowhere'):
        read_results([tmp_path / 'nowhere'])
    with pytest.raises(ValueError, match='neither records nor trainings'):
        read_results([tmp_path])
    (tmp_path / 'half.json').write_text('{"config": ')
    with pytest.raises(ValueError, match='half.json'):
        read_results([tmp_path])
    (tmp_path / 'half.json').write_text('{"config": "a.py", "kind": "memory"}')
    with pytest.raises(ValueError, match='half.json'):
        read_results([tmp_path])


def test_texts_are_filled_from_results(folder):
    text = (
        '{{peak net_small | 2 × 64², fp32 | full}}, {{part net_small | 2 × 64², fp32 | est | optimizer}}, '
        '{{saves net_small | 2 × 64², fp32 | est | 2 × 64², fp32 | full}}, {{peak net_small | 2 × 64², fp32 | mona}}, '
        '{{peak net_small | 2 × 64², fp32 | lora}}, {{share net_small | 2 × 64², fp32 | est | 2 × 64², fp32 | full}}'
    )
    assert fill(text, read_results([folder])) == '100, 3, 75 MB (75%), —, failed, 25.0%'
    with pytest.raises(ValueError, match='price'):
        fill('{{price net_small | a | b}}', read_results([folder]))


def test_the_first_table_goes_between_the_marks_of_a_text(folder):
    results = read_results([folder])
    text = 'before\n<!-- results -->\nold\n<!-- /results -->\nafter\n'
    filled = with_overview(text, results)
    assert filled.startswith('before\n<!-- results -->\n| method |') and filled.endswith('<!-- /results -->\nafter\n')
    assert '| est | -2.5 |' in filled and 'old' not in filled
    assert with_overview(filled, results) == filled
    with pytest.raises(ValueError, match='no place for the table'):
        with_overview('before', results)


def test_what_was_measured_with_levers_says_so(folder):
    """As mmest memory and mmest time write it."""
    levers = dict(memory=['frozen_bf16', 'side_int8'])
    rows = {
        'est': dict(memory('est', 2**20)['tunings']['est'], **levers),
        '+ side_int8': dict(memory('est', 2**19)['tunings']['est'], **levers),
    }
    record = {key: value for key, value in memory('est', 0, tunings=rows).items() if key != 'kind'}
    (folder / 'levers.json').write_text(json.dumps(record))
    time = dict(json.loads((folder / 'time.json').read_text()), memory=dict(est=levers['memory']))
    (folder / 'time_levers.json').write_text(json.dumps(dict(time, seconds=dict(est=[0.5]))))
    rows = by_method(comparison(read_results([folder]), 'net_small'))
    assert [float(rows[name]['memory, MB (2 × 64², fp32)']) for name in ('est', '+ side_int8')] == [25, 0.5]
    est = rows['est, frozen_bf16 side_int8']
    assert float(est['memory, MB (2 × 64², fp32)']) == 1
    assert float(est['time of full (2 × 64², fp32, a processor)']) == 0.25


def test_two_records_of_the_same_are_refused(folder):
    (folder / 'twice.json').write_text((folder / 'memory_est.json').read_text())
    with pytest.raises(ValueError, match='several records of the memory of est for net_small'):
        read_results([folder])


def test_steps_of_one_model_for_several_data_sets_are_set_against_each_other_by_data_set(folder):
    for method, peak in dict(full=200 * 2**20, est=20 * 2**20).items():
        record = memory(method, peak, config='configs/detection/land/net_small_est.py')
        (folder / f'memory_land_{method}.json').write_text(json.dumps(record))
    time = dict(json.loads((folder / 'time.json').read_text()), config='configs/detection/land/net_small_est.py')
    (folder / 'time_land.json').write_text(json.dumps(dict(time, seconds=dict(full=[2.0], est=[1.0], lora=[1.5]))))
    results = read_results([folder])
    rows = by_method(comparison(results, 'net_small'))
    for setting, peak in dict(sea=25, land=20).items():
        assert float(rows['est'][f'memory, MB (2 × 64², fp32, {setting})']) == peak
        assert float(rows['est'][f'time of full (2 × 64², fp32, a processor, {setting})']) == 0.5
    costs = by_method(costs_and_gains(results))
    assert float(costs['est']['memory of full']) == pytest.approx((0.25 + 0.1) / 2)
    assert float(costs['lora']['time of full']) == 0.75


def test_a_column_has_one_metric(folder, tmp_path):
    """COCO's metric is not there where nothing was found; other metrics are no stand-in for it."""
    for method, metrics in dict(mona={'pascal_voc/mAP': 0.99}, lst={'pascal_voc/mAP': 0.0, 'mIoU': 3.0}).items():
        (folder / f'land_{method}.json').write_text(json.dumps(training('land', method, 0, 0.0, metrics=metrics)))
    results = read_results([folder])
    rows = by_method(comparison(results, 'net_small'))
    assert float(rows['est']['land, bbox_mAP mean']) == pytest.approx(35)
    assert rows['mona']['land, bbox_mAP mean'] == rows['lst']['land, bbox_mAP mean'] == ''
    assert 'mona' not in ''.join(where_est_does_not_win(results))
    details = by_method(training_details(results, 'net_small', 'land'))
    assert float(details['mona']['mAP mean']) == pytest.approx(99) and details['mona']['bbox_mAP mean'] == ''
    _page(folder, tmp_path)


def test_unequal_care_is_said(folder):
    assert list(unequal_care(read_results([folder]))) == [
        'net_small on sea: seeds differ: full 2, lora 1, est 2.',
    ]
    swept = dict(factor=3.0, sweep_scores={'1': 30.0, '3': 40.0}, sweep=dict(cells=['a', 'b'], factors=[1, 3]))
    for seed in (0, 1):
        (folder / f'sea_est_{seed}.json').write_text(json.dumps(training('sea', 'est', seed, 0.5, **swept)))
    [line] = unequal_care(read_results([folder]))
    assert 'the best rate of est lies at the edge of its sweep: widen it' in line
    assert 'rates differ: full 1, lora 1, est 2' in line


def test_seeds_of_before_and_after_a_change_of_the_grid_are_said(folder):
    texts = [
        'train_cfg = dict(max_epochs=12)',
        'train_cfg = dict(\n    max_epochs=12)',
        'train_cfg = dict(max_epochs=24)',
    ]
    ways = [dict(config_text=texts[0]), dict(config_text=texts[1]), dict(config_text=texts[2]), dict(factor=0.3)]
    for other, alike in zip(ways, (True, True, False, False)):
        for seed, way in enumerate((ways[0], other)):
            record = training('sea', 'est', seed, 0.5, **dict(dict(config_text=texts[0]), **way))
            (folder / f'sea_est_{seed}.json').write_text(json.dumps(record))
        said = 'the seeds of est differ in rate or config: run the grid again' in ''.join(
            unequal_care(read_results([folder]))
        )
        assert said != alike


def test_a_rate_without_a_score_counts_as_none_that_was_tried(folder):
    sweep = dict(factors=[0.3, 1, 3, 10], seeds=[0, 1], cells=list('abcdefgh'))
    scores = {'10': None, '0.3': 30.0, '1': 40.0, '3': None}
    swept = dict(factor=1.0, sweep_scores=scores, sweep=sweep)
    for seed in (0, 1):
        (folder / f'sea_est_{seed}.json').write_text(json.dumps(training('sea', 'est', seed, 0.5, **swept)))
    [line] = unequal_care(read_results([folder]))
    assert 'the best rate of est lies at the edge of its sweep: widen it' in line
    assert 'rates differ: full 1, lora 1, est 4' in line
    rows = by_method(training_details(read_results([folder]), 'net_small', 'sea'))
    assert rows['est']['swept'] == '×1 of 0.3, 1, failed 3, 10, at the edge: widen, 2 seeds each'
    assert rows['full']['swept'] == 'no'


def test_trials_are_no_results(folder):
    before = len(read_results([folder]))
    trial = training('sea', 'est', 5, 0.9, kind='trial', note='A trial')
    (folder / 'trial.json').write_text(json.dumps(trial))
    assert len(read_results([folder])) == before


@pytest.mark.parametrize(
    'text, dataset', [("ann_file='splits/tiles_apart_train.txt'", 'dubai'), ('no lists', 'dubai_neighbouring')]
)
def test_the_old_split_of_dubai_is_told_from_the_new_one(tmp_path, text, dataset):
    (tmp_path / 'one.json').write_text(json.dumps(training('dubai', 'est', 0, 0.5, config_text=text)))
    assert {result.dataset for result in read_results([tmp_path])} == {dataset}


def test_the_form_of_a_paper(tmp_path):
    def record(name, **about):
        (tmp_path / f'{name}.json').write_text(json.dumps(about))

    for method, score, peak in (('full', 88.0, 400), ('est', 87.0, 100)):
        for data, head, metrics in (
            ('potsdam_five-classes', 'upernet', {'mIoU': score}),
            ('dior', 'faster-rcnn', {'pascal_voc/mAP': 0.1, 'pascal_voc/AP50': score / 100}),
        ):
            about = dict(config=f'configs/x/{data}/{head}_swin-b_est.py', metrics=metrics)
            record(f'{data}_{method}', **training(data, method, 0, 0.0, **about))
        record(f'memory_{method}', **memory(method, peak, config='configs/x/custom/upernet_swin-b_est.py'))
    [table] = paper_tables(read_results([tmp_path]))
    rows = by_method(table)
    assert list(rows) == ['full', 'est', 'full, published (literature, origin not traced)']
    assert float(rows['est']['DIOR, AP50 (faster-rcnn) mean']) == pytest.approx(87)
    assert float(rows['est']['memory of full']) == 0.25
    # What was not measured is neither failed nor the mean of something else.
    record('dior_lora', **training('dior', 'lora', 0, 0.5, config='configs/x/dior/faster-rcnn_swin-b_est.py'))
    wide = dict(config='configs/x/custom/upernet_swin-b_est.py', size=[96, 96])
    for method, peak in dict(full=800, est=400).items():
        record(f'memory_wide_{method}', **memory(method, peak, **wide))
    record('memory_lora', **memory('lora', 200, config=wide['config']))
    record('memory_mona', **memory('mona', 200, config=wide['config']))
    broken = {**memory('mona', 1, **wide), 'failed': True, 'error': ['out of memory']}
    record('memory_wide_mona', **{key: value for key, value in broken.items() if key != 'tunings'})
    broken = {**training('dior', 'mona', 0, 0.0), 'failed': True, 'error': ['no']}
    record('dior_mona', **{**broken, 'config': 'configs/x/dior/faster-rcnn_swin-b_est.py'})
    rows = by_method(paper_tables(read_results([tmp_path]))[0])
    assert float(rows['est']['memory of full']) == (0.25 + 0.5) / 2 and rows['lora']['memory of full'] == ''
    assert rows['lora']['DIOR, AP50 (faster-rcnn) mean'] == '' and float(rows['lora']['trained, M']) == 20 / 1e6
    assert rows['mona']['DIOR, AP50 (faster-rcnn) mean'] == rows['mona']['memory of full'] == 'failed'
    details = by_method(training_details(read_results([tmp_path]), 'faster-rcnn_swin-b', 'dior'))
    assert float(details['est']['AP50 mean']) == pytest.approx(87)
    published = list(rows.values())[-1]
    assert published['Potsdam, clutter ignored, mIoU (upernet) mean'] == '88.36'
    assert not published['DIOR, AP50 (faster-rcnn) mean']
    Page(read_results([tmp_path])).write(tmp_path / 'out')
    page = (tmp_path / 'out/benchmarks/paper.md').read_text()
    assert 'swin-b: full fine-tuning' in page and 'another head' in page
    assert r'\toprule' in next((tmp_path / 'out/benchmarks/files').glob('paper_swin-b*.tex')).read_text()
