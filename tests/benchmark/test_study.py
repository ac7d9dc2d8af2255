"""The study says what records and trials say, and what is missing."""

import json

import pytest
from few_records import training

from mmest.benchmark.grid import read_asked
from mmest.benchmark.tables.held_out import parts_held_out, read_sweeps
from mmest.benchmark.tables.results import Result, read_results
from mmest.benchmark.tables.study import read_trials, study
from mmest.cli import main

COUNTS = ('backbone', 'trained_by_method', 'trained_in_heads')

ASKED = [
    dict(config='configs/detection/sea/net_small_est.py', method=method, seed=seed)
    for method in ('full', 'est', 'frozen')
    for seed in (0, 1)
]


def accuracy(dataset: str, method: str, seed: int, score: float, **changes) -> dict:
    return training(dataset, method, seed, 0, **dict(dict(metrics={'mIoU': score}), **changes))


@pytest.fixture
def folder(tmp_path):
    for method, values in dict(full=[50, 52], est=[53], frozen=[40, 41]).items():
        for seed, value in enumerate(values):
            (tmp_path / f'{method}{seed}.json').write_text(json.dumps(accuracy('sea', method, seed, value)))
    (tmp_path / 'old.json').write_text(json.dumps(accuracy('dubai', 'est', 0, 60, config_text='no lists')))
    return tmp_path


def trial(variant: str, factor: float, seed: int, score: float) -> dict:
    return accuracy(
        'sea',
        'est',
        seed,
        score,
        kind='trial',
        variant=variant,
        factor=factor,
        steps=10,
        batch_size=4,
        views=2,
        images=dict(train=9, val=5),
        parameters=dict(trained_by_method=120000),
    )


def test_what_is_said_and_what_is_missing(folder):
    page = study('../grid.py', ASKED, read_results([folder]), [])
    assert 'asks for 6 trainings beside their sweeps; 5 have a record, 1 are missing' in page
    assert '- net_small on sea: missing 1 of 6' in page
    assert 'EST 53.0, rank 1 of 3; +2.0 to full, more than a deviation (1 and 2 seeds: +3.0); +12.5 to frozen' in page
    assert '| est | **53.0** | +2.0 | +2.0 | 1 | 1.0 |' in page
    assert '| frozen | 40.5 ± 0.7 | -10.5 | +2.0 | 1 | 3.0 |' in page
    assert 'seeds differ: full 2, frozen 2, est 1' in page
    assert 'net_small on dubai_neighbouring' in page and 'trials' not in page
    assert 'On dubai_neighbouring, training and validation patches are neighbours' in page


def test_of_other_grounds_nothing_is_said_but_their_names(folder):
    (folder / 'old.json').write_text(json.dumps(accuracy('lakes', 'est', 0, 60)))
    page = study('../grid.py', ASKED, read_results([folder]))
    assert 'records of other grounds: net_small on lakes. [benchmarks.md](benchmarks.md) has them.' in page


def test_memory_stands_beside_and_ranks_those_that_need_little(folder):
    def peak(method: str, size: int, setting: str = 'small') -> Result:
        return Result('memory', 'net_small', 'sea', method, setting, values=dict(peak=size))

    peaks = [
        peak('full', 100),
        peak('est', 20),
        peak('frozen', 60),
        peak('full', 200, 'large'),
        peak('est', 60, 'large'),
    ]
    page = study('../grid.py', ASKED, [*read_results([folder]), *peaks], [])
    assert '| est | **53.0** | +2.0 | +2.0 | 1 | 1.0 | 25% |' in page
    assert '| frozen | 40.5 ± 0.7 | -10.5 | +2.0 | 1 | 3.0 | 60% |' in page
    assert "rank 1 of 3 (1 of 1 under half of full's memory)" in page


def test_the_form_that_held_out_images_choose_stands_beside_both(folder):
    def swept(dataset, method, score, held_out):
        sweep = dict(sweep_scores=dict(zip(('0.3', '1', '3'), held_out)), factor=1.0)
        path = folder / f'{dataset} {method} swept.json'
        path.write_text(json.dumps(accuracy(dataset, method, 5, score, **sweep)))

    swept('sea', 'est', 55, [30, 60, None])
    swept('sea', 'steered_est', 48, [50, 59, 40])
    for method, score, held_out in (
        ('full', 70, [1, 2, 3]),
        ('est', 60, [20, 10, 5]),
        ('steered_est', 76, [None, 21, 2]),
    ):
        swept('land', method, score, held_out)
    swept('moon', 'est', 99, [20, 10, 5])  # the other form, and full fine-tuning, were not trained there
    asked = [
        *ASKED,
        *(dict(ASKED[0], config=f'configs/detection/{data}/net_small_est.py') for data in ('land', 'moon')),
    ]
    results = [r for r in read_results([folder]) if (r.dataset, r.values['seed']) != ('sea', 0) or r.method != 'est']
    _, _, page = study('../grid.py', asked, results, []).partition('## Which of the two forms')
    assert '| net_small on sea | 60.0 | 59.0 | est | 55.0 | 51.0 ± 1.4 |' in page
    assert '| net_small on land | 20.0 | 21.0 | steered_est | 76.0 | 70.0 |' in page and 'moon' not in page
    # est: +4 and -10; steered_est: -3 and +6.
    assert 'mean over 2 settings: the chosen form +5.0, est alone -3.0, steered_est alone +1.5.' in page


def test_held_out_images_say_what_each_method_scores_at_its_best_rate(folder):
    def sweep(method, factor, seed, score, dataset='sea', **changes):
        of_sweeps = dict(kind='sweep', variant='', held_out=0.2)
        record = accuracy(dataset, method, seed, score, **dict(of_sweeps, **changes))
        path = folder / f'sweep_{dataset}_{method}_x{factor}_{seed}{changes.get("variant", "")}.json'
        path.write_text(json.dumps(dict(record, factor=factor)))

    for seed, low, high in [(0, 40, 44), (1, 42, 40)]:
        sweep('full', 0.1, seed, low)
        sweep('full', 1, seed, high)
    sweep('full', 10, 0, 70)  # of fewer seeds than the others
    sweep('est', 1, 0, 46)
    sweep('est', 3, 0, 0, failed=True, metrics={})
    sweep('est', 1, 0, 99, variant='with more')
    sweep('est', 1, 0, 99, dataset='elsewhere')
    page = study('../grid.py', ASKED, read_results([folder]), sweeps=read_sweeps([folder]))
    _, _, said = page.partition('## What held-out training images say')
    table = [line for line in said.splitlines() if line.startswith('|')]
    assert table[0] == '| method | sea, net_small | against full, points | EST there | settings |'
    assert table[2:] == ['| full | 42.0 ± 2.8 | +0.0 | +4.0 | 1 |', '| est | **46.0** | +4.0 | +4.0 | 1 |']
    assert '## What held-out' not in study('../grid.py', ASKED, read_results([folder]))
    assert 'these trainings did not see:\n20% of sea. So' in said and 'tiles' not in said


def test_the_part_that_chose_is_that_of_the_records():
    configs = [f'configs/detection/{data}/net_small_est.py' for data in ('sea', 'land', 'sea', 'moon')]
    parts = (0.2, ['*/t1_*', '*/t6_*'], 0.2, 0.2)
    said = parts_held_out([dict(config=config, held_out=part) for config, part in zip(configs, parts)])
    assert said == '20% of sea and moon, the images `*/t1_*` and `*/t6_*` of land'


def test_few_images_stand_beside_all_of_them(folder):
    for method, variant, values in [
        ('full', '25 per cent of the images', [30, 34]),
        ('full', '5 per cent of the images', [20, 20]),
        ('est', '5 per cent of the images', [45, 45]),
        ('frozen', 'with something else', [1, 1]),
    ]:
        for seed, value in enumerate(values):
            record = accuracy('sea', method, seed, value, variant=variant)
            (folder / f'{method} {variant} {seed}.json').write_text(json.dumps(record))
    page = study('../grid.py', ASKED, read_results([folder]), [])
    _, _, few = page.partition('## With few training images')
    assert '| method | 5 % | 25 % | 100 % |' in few
    assert '| full | 20.0 ± 0.0 | 32.0 ± 2.8 | 51.0 ± 1.4 |' in few
    assert '| est | **45.0 ± 0.0** | — | **53.0** |' in few and '| frozen' not in few
    # What a part of the images gives is no score of the method, nor of its care.
    assert 'EST 53.0, rank 1 of 3' in page and 'seeds differ: full 2, frozen 2, est 1.' in page


def test_changed_parts_stand_beside_the_whole(folder):
    for variant, values in [('with kernel 1', [40, 44]), ('with one adapter', [53]), ('for 2 times the steps', [70])]:
        for seed, value in enumerate(values):
            record = accuracy('sea', 'est', seed, value, variant=variant)
            (folder / f'{variant} {seed}.json').write_text(json.dumps(record))
    page = study('../grid.py', ASKED, read_results([folder]), [])
    _, _, parts = page.partition('## What the parts of EST are worth')
    assert '| change | net_small on sea | difference |' in parts
    assert '| as it is | **53.0** | — |' in parts and '| kernel 1 | 42.0 ± 2.8 | -11.0 |' in parts
    assert '| one adapter | **53.0** | +0.0 |' in parts and '70' not in parts.partition('## With more')[0]


def test_methods_stand_at_one_size_where_both_have_both(folder):
    for method, variant, value, trained in [
        ('lst', '', 30, 1.6e5),
        ('lst', 'with reduction 2', 29, 1.64e6),
        ('est', 'with reduction 6 and taps 2', 50, 1.2e5),
    ]:
        heading = study('../grid.py', ASKED, read_results([folder]), []).count('## At one size')
        assert not heading, 'a size is missing still'
        record = accuracy('sea', method, 0, value, variant=variant)
        record['parameters']['trained_by_method'] = trained
        (folder / f'{method} {variant}.json').write_text(json.dumps(record))
    _, _, sized = study('../grid.py', ASKED, read_results([folder]), []).partition('## At one size')
    assert '| method | net_small on sea | trained, M |' in sized
    assert '| est, with reduction 6 and taps 2 | 50.0 | 0.12 |' in sized
    assert '| lst | 30.0 | 0.16 |\n| lst, with reduction 2 | 29.0 | 1.64 |' in sized


def test_longer_trainings_stand_beside_their_time(folder):
    for method, times, values in [('est', '1.5', [60, 62]), ('est', '2', [64, 64])]:
        for seed, value in enumerate(values):
            record = accuracy('sea', method, seed, value, variant=f'for {times} times the steps')
            (folder / f'{method} {times} {seed}.json').write_text(json.dumps(record))
    steps = [
        Result('time', 'net_small', 'sea', name, 's', values=dict(median=t)) for name, t in (('full', 4), ('est', 2))
    ]
    _, _, longer = study('../grid.py', ASKED, [*read_results([folder]), *steps], []).partition('## With more steps')
    assert '| full | ×1 | 100% | 51.0 ± 1.4 |' in longer and '| est | ×1 | 50% | 53.0 |' in longer
    assert '| est | ×1.5 | 75% | 61.0 ± 1.4 |' in longer and '| est | ×2 | 100% | **64.0 ± 0.0** |' in longer
    assert '| frozen' not in longer.partition('## Where')[0]
    assert '**64.0 ± 0.0**' in longer and '## In the time of full fine-tuning' in longer


def test_in_the_time_of_full_fine_tuning_each_takes_what_steps_fit(folder):
    def trained(dataset, method, times, values):
        variant = f'for {times} times the steps' if times != 1 else ''
        for seed, value in enumerate(values):
            record = accuracy(dataset, method, seed, value, variant=variant)
            (folder / f'{dataset} {method} {times} {seed}.json').write_text(json.dumps(record))

    trained('sea', 'est', 2, [60, 62])
    trained('sea', 'est', 4, [90])  # 220 % of the time
    trained('sea', 'full', 2, [99])  # 200 %
    for method, times, values in [('full', 1, [70]), ('est', 1, [71]), ('est', 2, [72]), ('steered_est', 1, [80])]:
        trained('land', method, times, values)
    trained('land', 'steered_est', 2, [90])  # both of its lengths take longer than full fine-tuning
    trained('moon', 'est', 2, [99])  # no full fine-tuning there
    times = [('sea', 'full', 4.0), ('sea', 'est', 2.2), ('land', 'full', 4.0), ('land', 'est', 3.0)]
    times.append(('land', 'steered_est', 5.0))
    steps = [Result('time', 'net_small', data, name, 's', values=dict(median=t)) for data, name, t in times]
    asked = [
        *ASKED,
        *(dict(ASKED[0], config=f'configs/detection/{data}/net_small_est.py') for data in ('land', 'moon')),
    ]
    page = study('../grid.py', asked, [*read_results([folder]), *steps], [])
    said = page.partition('## In the time of full fine-tuning')[2].partition('## ')[0]
    rows = [line for line in said.splitlines() if line.startswith('|')][2:]
    assert rows == [
        '| land, net_small | est | ×1 | 75% | 71.0 | 70.0 | +1.0 |',
        '| sea, net_small | est | ×2 | 110% | 61.0 ± 1.4 | 51.0 ± 1.4 | +10.0 |',
    ]
    assert 'mean over settings: est +5.5 over 2.' in said


def test_a_data_set_without_times_has_those_of_the_same_model(folder):
    record = accuracy('sea', 'est', 0, 60, variant='for 2 times the steps')
    (folder / 'est 2.json').write_text(json.dumps(record))
    steps = [
        Result('time', 'net_small', 'land', name, 's', values=dict(median=t)) for name, t in (('full', 4), ('est', 2))
    ]
    page = study('../grid.py', ASKED, [*read_results([folder]), *steps], [])
    assert '| est | ×2 | 100% | **60.0** |' in page


def test_trials_stand_apart_with_their_rates_and_seeds(folder, tmp_path):
    trials = tmp_path / 'trials'
    trials.mkdir()
    for i, args in enumerate([('', 1, 0, 50.0), ('', 1, 1, 54.0), ('', 0.3, 0, 51.0), ('with stem', 1, 0, 60.0)]):
        (trials / f'trial_{i}.json').write_text(json.dumps(trial(*args)))
    (trials / 'trial_9.json').write_text(json.dumps(dict(trial('', 1, 9, 0.0), failed=True)))
    (trials / 'trial_10.json').write_text(json.dumps(dict(trial('longer', 1, 0, 70.0), steps=30)))
    (trials / 'trial_11.json').write_text(json.dumps(dict(trial('longer', 1, 0, 80.0), held_out=0.2)))
    (trials / 'trial_12.json').write_text('{"failed": f')
    with pytest.raises(ValueError, match=r'trial_12.json is no record that can be read .*Remove it'):
        read_trials(trials)
    (trials / 'trial_12.json').unlink()
    page = study('../grid.py', ASKED, read_results([folder]), read_trials(trials))
    assert 'mIoU on 5 validation images after 10 steps of batch 4, from 2 views of each of 9 images' in page
    assert '| est | 51.0 | 52.0 ± 2.8 | 0.12 | 3 |' in page
    assert '| est, with stem | — | **60.0** | 0.12 | 1 |' in page
    assert 'mIoU on 5 held-out training images after 10 steps' in page and '| est, longer | 80.0 | 0.12 | 1 |' in page
    of_30_steps = page[page.index('after 30 steps') : page.index('held-out training')]
    assert '| est, longer | 70.0 | 0.12 | 1 |' in of_30_steps and 'with stem' not in of_30_steps


def test_what_a_grid_asks_for_is_read_without_its_configs(tmp_path):
    grid = tmp_path / 'grid.py'
    grid.write_text("""
accuracy = [dict(configs=['configs/x/gone_est.py'], tunings=['est', 'full'], seeds=[0, 1]),
            dict(configs=['configs/x/gone_est.py'], tunings=['est'], variant='wide', seeds=[2])]
""")
    asked = read_asked(str(grid))
    assert len(asked) == 5 and asked[-1] == dict(config='configs/x/gone_est.py', method='est, wide', seed=2)


def test_the_command_writes_it_beside_the_tables(folder, tmp_path):
    grid, out = tmp_path / 'grid.py', tmp_path / 'out'
    grid.write_text(f"accuracy = [dict(configs=['{ASKED[0]['config']}'], tunings=['full', 'est'], seeds=[0])]")
    for path in folder.glob('*[0-9].json'):
        record = dict(losses=[], tuning={}, learning_rate=1.0, parameters=dict.fromkeys(COUNTS, 1))
        path.write_text(json.dumps({**json.loads(path.read_text()), **record}))
    (folder / 'old.json').unlink()
    main(['tables', str(folder), '--study', str(grid), '--out', str(out)])
    page = (out / 'study.md').read_text()
    assert 'The grid\n[`grid.py`](../grid.py) says' in page
    assert 'asks for 2 trainings beside their sweeps; 2 have a record' in page
    assert (out / 'benchmarks.md').is_file()
