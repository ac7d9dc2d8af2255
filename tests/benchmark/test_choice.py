"""A method and its rate are chosen on held-out training images, and the command that follows trains them."""

import json
import shlex
from pathlib import Path

import pytest

import mmest.cli.train
from mmest.benchmark.choice import Candidate, candidates, choice_of, remarks, table
from mmest.cli import main


def write(folder: Path, cell, score: float | None, error: str = 'RuntimeError: no') -> None:
    found = dict(failed=True, error=[error]) if score is None else dict(failed=False, metrics={'mIoU': score})
    record = dict(cell.request, learning_rate=cell.request['factor'] * 1e-3, **found)
    (folder / f'{cell.name}.json').write_text(json.dumps(record))


@pytest.fixture
def choice(config):
    return choice_of(config('fpn_swin_est'), ['est', 'frozen', 'lora', 'est'], [1.0, 3.0, 3.0], 0.3, seeds=2)


def test_every_method_has_every_rate_and_seed_once(choice):
    asked = [(c.request['method'], c.request['factor'], c.request['seed']) for c in choice.trainings]
    assert asked == [(m, f, s) for m in ('est', 'frozen', 'lora') for f in (1.0, 3.0) for s in (0, 1)]
    # A frozen backbone has no rate of its own.
    assert {c.request['method'] for c in choice.trainings if 'factor_of' not in c.request} == {'frozen'}
    assert all(c.request['held_out'] == 0.3 and 'TunedBackbone' in c.request['config_text'] for c in choice.trainings)


def test_more_seeds_and_rates_keep_what_is_trained(choice, config):
    names = {c.name: c.request for c in choice_of(config('fpn_swin_est'), ['est'], [3.0], 0.3).trainings}
    known = {c.name: c.request for c in choice.trainings}
    assert names == {name: known[name] for name in names}


def test_the_best_mean_over_seeds_is_first(choice, tmp_path):
    scores = {
        ('est', 1.0): (50.0, 60.0), ('est', 3.0): (57.0, 55.0),
        ('frozen', 1.0): (70.0, None), ('frozen', 3.0): (58.0, 57.0),
        ('lora', 1.0): (None, 1.0), ('lora', 3.0): (2.0, None),
    }  # fmt: skip
    for cell in choice.trainings:
        about = cell.request
        write(tmp_path, cell, scores[about['method'], about['factor']][about['seed']])
    frozen, est, lora = candidates(choice, tmp_path)
    assert frozen == Candidate('frozen', {1.0: None, 3.0: 57.5}, 3.0, 'mIoU', 'optim_wrapper.optimizer.lr=0.003')
    assert est == Candidate('est', {1.0: 55.0, 3.0: 56.0}, 3.0, 'mIoU', 'model.backbone.tuning.lr_mult=30')
    assert lora == Candidate('lora', {1.0: None, 3.0: None})
    assert table([frozen, est, lora]).markdown().splitlines()[2:] == [
        '| frozen | — | 57.5 |', '| est | 55.0 | 56.0 |', '| lora | — | — |',
    ]  # fmt: skip


def test_a_rate_that_diverges_loses(choice, tmp_path):
    for cell in choice.trainings:
        diverges = cell.request['factor'] == 3
        write(tmp_path, cell, None if diverges else 5.0, 'TrainingFailed: the training diverged')
    assert {one.factor for one in candidates(choice, tmp_path)} == {1.0}
    assert candidates(choice, tmp_path)[0].scores == {1.0: 5.0, 3.0: 0.0}


def test_what_it_says():
    a = Candidate('a', {0.3: 1.0, 1.0: 3.0, 3.0: 2.0}, 1.0, 'mIoU')
    b = Candidate('b', {0.3: 1.0, 1.0: 2.0, 3.0: 2.5}, 3.0, 'mIoU', 'x=3')
    failed = Candidate('c', dict.fromkeys((0.3, 1.0, 3.0)))
    first, edge, seeds = remarks([a, b, failed], seeds=1)
    assert first == 'a scores highest: mIoU 3.0 at its own rate.'
    assert edge.startswith('The best rate of b lies at the edge of what was tried: add --factors 0.3 1 3 9.')
    assert seeds.startswith('Next is b with 2.5.')
    assert remarks([a, failed], seeds=1) == [first] == remarks([a], seeds=3)
    assert 'add --factors 0.1 0.3 1 3' in remarks([Candidate('d', {0.3: 2.0, 1.0: 1.0, 3.0: 0.0}, 0.3, 'mIoU')], 3)[1]


def test_nothing_is_chosen_where_nothing_was_learnt(config, tmp_path, capsys, monkeypatch):
    nothing = [Candidate(name, {1.0: 0.0, 3.0: 0.0}, 1.0, 'bbox_mAP') for name in ('est', 'lora')]
    said = 'No method has learnt anything: bbox_mAP is 0 at every rate, which chooses none. Train longer.'
    assert remarks(nothing, seeds=1) == [said]
    monkeypatch.setattr('mmest.cli.choose.run_grid', lambda *_: [])
    monkeypatch.setattr('mmest.cli.choose.candidates', lambda *_: nothing)
    main(['choose', str(config('fpn_swin_est')), '--work-dir', str(tmp_path / 'choice')])
    told = capsys.readouterr().out
    assert told.endswith(f'{said}\n') and 'mmest train' not in told


@pytest.mark.parametrize('share', ['0', '1', '1.5'])
def test_a_share_is_between_0_and_1(config, share):
    with pytest.raises(SystemExit, match=f'a share between 0 and 1, or patterns of names, but it is {share}'):
        main(['choose', str(config('fpn_swin_est')), '--held-out', share])


def test_the_command_that_it_ends_with_trains_what_was_chosen(config, tmp_path, capsys, monkeypatch):
    file, options = str(config('fpn_swin_est')), ['--cfg-options', 'train_cfg.max_iters=2', 'train_cfg.val_interval=2']
    asked = ['choose', file, '--tunings', 'est', '--factors', '3', '--work-dir', str(tmp_path / 'choice')]
    main([*asked, '--held-out', '0.3', *options])
    first = capsys.readouterr().out
    (record,) = (json.loads(path.read_text()) for path in (tmp_path / 'choice').glob('sweep_*.json'))
    assert not record['failed'] and record['held_out'] == 0.3 and record['losses'][-1][0] == 2
    assert f'est scores highest: mIoU {record["metrics"]["mIoU"]:.1f} at 3 times its rate.' in first
    main([*asked, '--held-out', '0.3', *options])
    assert 'Cells to measure: 0 of 1.' in capsys.readouterr().out
    words = shlex.split(first.splitlines()[-1])
    seen = []
    monkeypatch.setattr(mmest.cli.train, 'run', seen.append)
    main(words[1:])
    assert (seen[0].config, seen[0].tuning) == (file, 'est')
    assert seen[0].cfg_options == {
        'train_cfg.max_iters': 2, 'train_cfg.val_interval': 2, 'model.backbone.tuning.lr_mult': 30,
    }  # fmt: skip
