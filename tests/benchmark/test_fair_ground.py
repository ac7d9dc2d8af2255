"""The grids compare with equal care: for every method as many rates and seeds, on the same part of the data."""

from pathlib import Path

import pytest
from mmengine.config import Config

from mmest.benchmark.grid import read_grid
from mmest.configs import available_tunings, open_config

GRIDS = Path(__file__).resolve().parents[2] / 'benchmarks' / 'grids'
needs_grids = pytest.mark.skipif(not GRIDS.is_dir(), reason='the grids are beside the package, not in it')


def entries(name: str) -> list[dict]:
    return Config.fromfile(GRIDS / f'{name}.py').accuracy


@needs_grids
@pytest.mark.parametrize('name', ['accuracy', 'few_shot', 'paper', 'paper_oriented', 'paper_convnext'])
def test_every_method_has_as_many_rates_and_seeds(name):
    grounds = {}
    for entry in entries(name):
        ground = tuple(entry['configs'])
        sweep = entry['sweep']
        care = (len(sweep['factors']), str(sweep['held_out']), tuple(sweep['seeds']), tuple(entry['seeds']))
        grounds.setdefault(ground, {}).setdefault(care, set()).update(entry['tunings'])
        # Around 1: there is room on both sides.
        assert min(sweep['factors']) < 1 < max(sweep['factors'])
        # A frozen backbone has no rate of its own.
        assert ('of' not in sweep) == (entry['tunings'] == ['frozen'])
    for ground, cares in grounds.items():
        assert len(cares) == 1, ground
        assert {'full', 'frozen', 'est'} <= next(iter(cares.values())) <= set(available_tunings())
    assert len({frozenset(methods) for cares in grounds.values() for methods in cares.values()}) == 1


@needs_grids
def test_the_ground_is_apart_and_drop_path_is_off_for_all():
    configs = sorted({config for entry in entries('accuracy') for config in entry['configs']})
    tasks = {path.split('/')[2] for path in configs}
    assert tasks == {'dubai', 'epfl_road', 'hrplanes'}
    for path in configs:
        cfg = open_config(str(GRIDS.parents[1] / path))
        inner = cfg.model.backbone.backbone
        assert not inner.get('drop_path_rate') and not inner.get('drop_rate')
        if 'dubai' in path:
            lists = [cfg[f'{part}_dataloader'].dataset.ann_file for part in ('train', 'val')]
            assert all('tiles_apart' in name for name in lists) and lists[0] != lists[1]


@needs_grids
def test_few_images_are_the_same_for_all_methods():
    shares = {}
    for entry in entries('few_shot'):
        ground = (entry['configs'][0], entry['variant'])
        chosen = entry['options']['train_dataloader.dataset.indices']
        assert shares.setdefault(ground, chosen) == chosen and len(set(chosen)) == len(chosen)
        assert entry['sweep']['variant'] == ''
    fewest = [len(chosen) for (_, variant), chosen in shares.items() if variant.startswith('5 per')]
    assert fewest and min(fewest) == 4


def test_a_variant_takes_the_choice_of_another(config, tmp_path):
    path, grid = config('fpn_swin_est'), tmp_path / 'grid.py'
    grid.write_text(f"""
common = dict(configs=['{path}'], tunings=['est'], seeds=[0])
sweep = dict(factors=[0.5, 2.0], of='method')
accuracy = [dict(common, sweep=sweep),
            dict(common, sweep=dict(sweep, variant=''), variant='few', options={{'train_cfg.max_iters': 2}})]
""")
    cells = read_grid(str(grid))
    assert [cell.kind for cell in cells] == ['sweep', 'sweep', 'accuracy', 'accuracy']
    assert cells[3].request['sweep']['cells'] == [cells[0].name, cells[1].name]
