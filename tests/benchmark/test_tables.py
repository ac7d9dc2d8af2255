"""Tables say what the files say, and change when a file changes and not otherwise."""

import json
import re
import statistics
from pathlib import Path

import pytest
from few_records import by_method, memory, training

from mmest.benchmark.tables.comparison import attribution, comparison
from mmest.benchmark.tables.figures import pareto_front
from mmest.benchmark.tables.overview import (
    accuracy_overviews,
    costs,
    memory_overviews,
    time_overviews,
)
from mmest.benchmark.tables.page import Page
from mmest.benchmark.tables.results import read_results
from mmest.benchmark.tables.shares import mean_shares
from mmest.benchmark.tables.standing import where_est_does_not_win
from mmest.benchmark.tables.summary import summary
from mmest.benchmark.tables.table import FAILED, Column, Spread, Table
from mmest.benchmark.tables.texts import fill, with_overview
from mmest.benchmark.tables.training_details import training_details


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


def test_the_time_of_a_variant_is_a_share_of_the_plain_one_of_its_process(folder):
    plain = json.loads((folder / 'time.json').read_text())
    slow = dict(plain, variant='again', seconds=dict(full=[9.0], est=[4.0]), full_seconds=[6.0, 8.0, 30.0])
    (folder / 'time_again.json').write_text(json.dumps(slow))
    results = read_results([folder])
    of_full = 'time of full (2 × 64², fp32, a processor)'
    rows = by_method(comparison(results, 'net_small'))
    assert [float(rows[name][of_full]) for name in ('est', 'est, again', 'full, again')] == [0.5, 0.5, 9 / 8]
    assert mean_shares(results, 'time', 'net_small', ['full, again']) == {'full, again': 9 / 8}
    del slow['full_seconds']  # an earlier version: of the plain cell
    (folder / 'time_again.json').write_text(json.dumps(slow))
    rows = by_method(comparison(read_results([folder]), 'net_small'))
    assert [float(rows[name][of_full]) for name in ('est, again', 'full, again')] == [2.0, 4.5]


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
    """Each over the settings in which it was trained, with EST there: lora was trained on the sea alone."""
    (folder / 'memory_full_again.json').write_text(json.dumps(memory('full', 40 * 2**20, variant='recomputed')))
    rows = by_method(summary(read_results([folder])))
    est, lora = rows['est'], rows['lora']
    assert list(rows) == ['full', 'full, recomputed', 'lora', 'est']
    assert float(est['against full, points']) == pytest.approx(((45 - 55) + (35 - 30)) / 2)
    assert float(est['memory of full']) == 0.25 and float(est['time of full']) == 0.5 and est['settings'] == '2'
    assert float(lora['against full, points']) == float(lora['EST there']) == pytest.approx(45 - 55)
    assert lora['settings'] == '1' and lora['memory of full'] == '' and float(rows['full']['memory of full']) == 1
    again = rows['full, recomputed']
    assert (
        float(again['memory of full']) == 0.4
        and again['time of full'] == ''
        and float(again['against full, points']) == 0
    )


def test_a_setting_without_est_counts_where_no_other_has_it(folder):
    (folder / 'air_full.json').write_text(json.dumps(training('air', 'full', 0, 0.5)))
    (folder / 'air_lora.json').write_text(json.dumps(training('air', 'lora', 0, 0.1)))
    assert by_method(summary(read_results([folder])))['lora']['settings'] == '1'
    for path in folder.glob('*_est_*.json'):
        path.unlink()
    rows = by_method(summary(read_results([folder])))
    assert rows['lora']['settings'] == '2' and rows['lora']['EST there'] == ''
    assert float(rows['lora']['against full, points']) == pytest.approx(((45 - 55) + (10 - 50)) / 2)


def test_est_that_failed_everywhere_leaves_the_others_their_rows(folder):
    for path in folder.glob('*_est_*.json'):
        path.write_text(json.dumps(dict(json.loads(path.read_text()), failed=True, error=['no memory'])))
    rows = by_method(summary(read_results([folder])))
    assert 'est' not in rows and rows['lora']['EST there'] == ''
    assert float(rows['lora']['against full, points']) == pytest.approx(45 - 55)


def test_costs_are_over_all_models_trained_or_not(folder):
    for method, peak in dict(full=200, est=100).items():
        record = memory(method, peak, config='configs/detection/sea/net_wide_est.py')
        (folder / f'wide_{method}.json').write_text(json.dumps(record))
    est = by_method(costs(read_results([folder])))['est']
    assert (float(est['memory of full']), float(est['time of full'])) == (0.375, 0.5)


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


def test_without_full_fine_tuning_it_is_said_in_place_of_tables_without_figures(folder, tmp_path):
    records = {path: json.loads(path.read_text()) for path in folder.glob('*.json')}
    for path, record in records.items():
        if record.get('kind') != 'accuracy' or record['method'] == 'full':
            path.unlink()
    text = _page(folder, tmp_path / 'out')
    assert 'full fine-tuning, which has no score here' in text and '[net_small](benchmarks/net_small.md)' in text
    assert '| method | against full' not in text and 'What it costs' not in text
    assert not (tmp_path / 'out' / 'benchmarks' / 'files' / 'overview.csv').exists()


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


def test_latex_sets_texts_left_and_figures_right():
    rows = [['full', 'Swin-T', 1.5, 'text'], ['est', 'Swin-B', FAILED, None]]
    table = Table('scores', [Column(name) for name in ('method', 'backbone', 'figure', 'mixed')], rows)
    assert table.latex().startswith('% scores; needs \\usepackage{booktabs}\n\\begin{tabular}{llrr}\n\\toprule\n')


def test_names_with_the_letters_of_latex_and_markdown():
    name = r"my_$ea {'a': 1} 50% #1 & ~x^2 \o <b> c|d"
    table = Table('t', [Column(name), Column('x')], [[name, 1]])
    written = (
        r"my\_\$ea \{'a': 1\} 50\% \#1 \& \textasciitilde{}x\textasciicircum{}2 \textbackslash{}o "
        r'\textless{}b\textgreater{} c\textbar{}d'
    )
    assert table.latex().count(written) == 2
    assert all(len(re.split(r'(?<!\\)\|', line)) == 4 for line in table.markdown().splitlines())


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
