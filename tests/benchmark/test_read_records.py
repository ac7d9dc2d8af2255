"""What records in files become, and which are refused."""

import json

import pytest
from few_records import by_method, memory, training

from mmest.benchmark.tables.comparison import comparison
from mmest.benchmark.tables.overview import (
    costs,
)
from mmest.benchmark.tables.results import read_results


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


def test_two_records_of_the_same_are_refused(folder):
    (folder / 'twice.json').write_text((folder / 'memory_est.json').read_text())
    with pytest.raises(ValueError, match='several records of the memory of est for net_small'):
        read_results([folder])


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
    shares = by_method(costs(results))
    assert float(shares['est']['memory of full']) == pytest.approx((0.25 + 0.1) / 2)
    assert float(shares['lora']['time of full']) == 0.75


def test_a_share_is_never_of_full_fine_tuning_for_another_data_set(folder):
    (folder / 'memory_land_mona.json').write_text(
        json.dumps(memory('mona', 50 * 2**20, config='configs/detection/land/net_small_est.py'))
    )
    rows = by_method(comparison(read_results([folder]), 'net_small'))
    assert float(rows['mona']['memory, MB (2 × 64², fp32, land)']) == 50
    assert by_method(costs(read_results([folder])))['mona']['memory of full'] == ''
