"""Where methods were not compared with equal care, it is said."""

import json

from few_records import by_method, training

from mmest.benchmark.tables.care import unequal_care
from mmest.benchmark.tables.results import read_results
from mmest.benchmark.tables.training_details import training_details


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
    assert 'rates differ: full 1, lora 1, est 2; seeds of the sweep differ: full 1, lora 1, est 2' in line
    rows = by_method(training_details(read_results([folder]), 'net_small', 'sea'))
    assert rows['est']['swept'] == '×1 of 0.3, 1, failed 3, 10, at the edge: widen, 2 seeds each'
    assert rows['full']['swept'] == 'no'


def test_trainings_that_failed_are_said_where_others_of_the_method_have_a_score(folder):
    for method, seeds in dict(full=(1,), lora=(0, 1)).items():
        for seed in seeds:
            record = training('sea', method, seed, 0.5, failed=True, error=['InvalidTraining: it diverged'])
            (folder / f'sea_{method}_{seed}.json').write_text(json.dumps(record))
    [line] = unequal_care(read_results([folder]))
    assert 'of the 2 trainings of full 1 failed, and its score is of the rest' in line
    assert 'of lora' not in line and 'of est' not in line


def test_records_of_other_data_are_named(folder):
    mine, other = dict(train='a', val='b'), dict(train='a', val='c')
    for method, seeds in dict(full=(mine, mine), est=(mine, other), lora=(None,)).items():
        for seed, data in enumerate(seeds):
            record = training('sea', method, seed, 0.5, **(dict(data=data) if data else {}))
            (folder / f'sea_{method}_{seed}.json').write_text(json.dumps(record))
    [line] = unequal_care(read_results([folder]))
    assert 'the data of est is not that of the others: train on one copy of it' in line
    for seed in (0, 1):
        record = training('sea', 'est', seed, 0.5, data=mine)
        (folder / f'sea_est_{seed}.json').write_text(json.dumps(record))
    assert 'the data of' not in ''.join(unequal_care(read_results([folder])))


def test_who_trained_on_another_kind_of_machine_is_named(folder):
    """Cards round products otherwise; processors, whatever their name and number of threads, hardly differ."""
    cpus, card = ('One, 1 thread', 'Other, AVX2, 2 threads'), 'NVIDIA H200, driver 1.2'
    for method, machines in dict(full=(card, card), est=cpus, lora=(card, cpus[0])).items():
        for seed, hardware in enumerate(machines):
            record = training('sea', method, seed, 0.5, hardware=hardware)
            (folder / f'sea_{method}_{seed}.json').write_text(json.dumps(record))
    [line] = unequal_care(read_results([folder]))
    assert 'the machines differ: full on NVIDIA H200; lora on NVIDIA H200 and a CPU; est on a CPU' in line
    for seed in (0, 1):
        for method in ('full', 'lora'):
            record = training('sea', method, seed, 0.5, hardware=cpus[seed])
            (folder / f'sea_{method}_{seed}.json').write_text(json.dumps(record))
    assert not list(unequal_care(read_results([folder])))
