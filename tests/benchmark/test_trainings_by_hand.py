"""Trainings without a grid are read from their work folders."""

import json
import os
from pathlib import Path

import pytest
from few_records import by_method
from mmengine.config import Config

from mmest.benchmark.tables.comparison import comparison
from mmest.benchmark.tables.results import read_results
from mmest.benchmark.tables.training_details import training_details
from mmest.configs import configs_root


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
