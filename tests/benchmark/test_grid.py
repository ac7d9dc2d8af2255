"""From a grid file to cells."""

import pytest
from mmengine.config import Config

from mmest.benchmark import config_text
from mmest.benchmark.grid import SWEEP, read_grid
from mmest.configs import available_tunings, configs_root

FPN = str(configs_root() / 'demo' / 'fpn_swin_est.py')


@pytest.fixture
def grid(tmp_path):
    for remembered in (config_text._read, config_text._text):
        remembered.cache_clear()  # each test has an environment of its own

    def write(text: str):
        path = tmp_path / 'grid.py'
        path.write_text(text)
        return read_grid(str(path))

    return write


def test_every_combination_is_one_cell(grid):
    cells = grid(f"""
here = ['{FPN}']
memory = [dict(configs=here, sizes=[(64, 64), (64, 96)], batch_sizes=[1, 2]),
          dict(configs=here, tunings=['est'], options={{'model.backbone.tuning.recompute': False}}, variant='kept')]
time = [dict(configs=here, tunings=['full', 'est'])]
largest_batch = [dict(configs=here, tunings=['full'], device='cuda')]
accuracy = [dict(configs=here, tunings=['est', 'full'], seeds=[0, 1], sweep=dict(factors=[0.5, 2]))]
""")
    kinds = [cell.kind for cell in cells]
    methods = len(available_tunings())
    assert {kind: kinds.count(kind) for kind in kinds} == dict(
        memory=4 * methods + 1, time=1, largest_batch=2, sweep=2 * 2, accuracy=2 * 2
    )
    assert len({cell.name for cell in cells}) == len(cells)
    variant = next(cell for cell in cells if cell.request['variant'])
    assert variant.request['tuning'] == dict(type='EST', lr_mult=10.0, recompute=False)
    assert kinds.index('sweep') < kinds.index('accuracy')
    final = cells[-1].request
    assert {cell.name for cell in cells if cell.kind == 'sweep' and cell.request['method'] == 'full'} == set(
        final['sweep']['cells']
    )


def test_a_sweep_of_the_method_alone_has_cells_of_its_own(grid):
    entry = f"accuracy = [dict(configs=['{FPN}'], tunings=['est'], sweep=dict(factors=[0.5]%s))]"
    together, alone = grid(entry % ''), grid(entry % ", of='method'")
    assert not {cell.name for cell in together if cell.kind == 'sweep'} & {
        cell.name for cell in alone if cell.kind == 'sweep'
    }
    assert alone[0].request['factor_of'] == alone[1].request['sweep']['of'] == 'method'
    assert alone[1].request['sweep']['cells'] == [alone[0].name]
    with pytest.raises(ValueError, match='found "heads"'):
        grid(entry % ", of='heads'")
    for factors in ('[]', '[1, 0]', '[1, -0.3]', '0.3', "['1']", 'None'):
        with pytest.raises(ValueError, match='needs factors on the rate, all above 0'):
            grid(entry.replace('[0.5]', factors) % '')


def test_an_empty_sweep_is_that_of_the_defaults(grid):
    entry = f"accuracy = [dict(configs=['{FPN}'], tunings=['est'], sweep=%s)]"
    cells = grid(entry % 'dict()')
    assert [cell.request['factor'] for cell in cells[:-1]] == SWEEP['factors']
    assert [cell.request for cell in cells] == [cell.request for cell in grid(entry % f'dict({SWEEP})')]
    assert [cell.kind for cell in grid(entry % 'None')] == ['accuracy']


def test_the_text_of_a_step_says_which_memory_options_it_has(grid):
    cells = grid(f"memory = [dict(configs=['{FPN}'], tunings=['est'], options=dict(memory=['frozen_bf16']))]")
    cfg = Config.fromstring(cells[0].request['config_text'], '.py')
    assert cfg.memory == ['frozen_bf16'] and 'train_dataloader' not in cfg


@pytest.mark.parametrize(
    'sweep, found',
    [
        ('dict(factor=[1, 2])', 'factor'),
        ('dict(factors=[1], held_outt=0.3)', 'factors, held_outt'),
        ('dict(seed=[0])', 'seed'),
        ('[0.3, 1, 3]', r'\[0.3, 1, 3\]'),
        ('True', 'True'),
        ('False', 'False'),
    ],
)
def test_a_sweep_of_what_there_is_not_gets_a_sentence(grid, sweep, found):
    with pytest.raises(ValueError, match=f'"sweep" is a dict that may have factors, held_out, .*; found {found}.'):
        grid(f"accuracy = [dict(configs=['{FPN}'], tunings=['est'], sweep={sweep})]")


def test_a_sweep_of_several_seeds(grid):
    cells = grid(
        f"accuracy = [dict(configs=['{FPN}'], tunings=['est'], seeds=[0, 1], sweep=dict(factors=[0.5, 2], seeds=[0, "
        '2]))]'
    )
    runs = [(cell.request['factor'], cell.request['seed']) for cell in cells if cell.kind == 'sweep']
    assert runs == [(0.5, 0), (0.5, 2), (2, 0), (2, 2)]
    assert cells[-1].request['sweep']['cells'] == [cell.name for cell in cells if cell.kind == 'sweep']


def test_a_trial_of_every_rate_and_seed(grid):
    cells = grid(f"trial = [dict(configs=['{FPN}'], tunings=['est'], factors=[0.5, 2], seeds=[0, 3])]")
    assert [(cell.request['factor'], cell.request['seed']) for cell in cells] == [(0.5, 0), (0.5, 3), (2, 0), (2, 3)]


def test_a_rate_is_chosen_by_the_sweep_of_another_variant(grid):
    entry = f"dict(configs=['{FPN}'], tunings=['est'], seeds=[1], variant='%s', sweep=dict(held_out=0.3%s))"
    cells = grid(f'accuracy = [{entry % ("", "")}, {entry % ("few", ", variant=" + repr(""))}]')
    swept = [cell.name for cell in cells if cell.kind == 'sweep' and cell.request['held_out'] == 0.3]
    scored = [cell.request for cell in cells if cell.kind == 'accuracy']
    assert len(swept) == 3 and [one['variant'] for one in scored] == ['', 'few']
    assert [one['sweep']['cells'] for one in scored] == [swept, swept]


def test_the_text_of_a_cell_is_a_config_that_repeats_it(grid, tmp_path, monkeypatch):
    monkeypatch.setenv('MMEST_DEMO_DIR', str(tmp_path / 'mine'))
    cell = grid(
        f"accuracy = [dict(configs=['{FPN}'], tunings=['partial'], options={{'optim_wrapper.optimizer.lr': 0.5}})]"
    )[-1]
    text = cell.request['config_text']
    assert str(tmp_path) not in text and '{{$MMEST_DEMO_DIR:work_dirs/demo}}/' in text
    monkeypatch.setenv('MMEST_DEMO_DIR', 'elsewhere')
    (tmp_path / 'again.py').write_text(text)
    again, original = Config.fromfile(tmp_path / 'again.py'), Config.fromfile(FPN)
    assert again.model.backbone.tuning == dict(type='Partial')
    assert again.optim_wrapper.optimizer.lr == 0.5
    assert again.train_dataloader.dataset == original.train_dataloader.dataset
    assert again.model.decode_head == original.model.decode_head


@pytest.mark.parametrize(
    'text, message',
    [
        ('memry = [dict(configs=["a"])]', 'memry'),
        ('pass', 'found'),
        ('memory = [dict(sizes=[(64, 64)])]', 'needs "configs"'),
        ('memory = [dict(configs=["a"], size=3)]', 'found configs, size'),
        ('memory = [dict(configs=["nothing.py"])]', 'nothing.py'),
        (f'memory = [dict(configs=["{FPN}"], tunings=["lorra"])]', 'no tuning method "lorra"'),
        (f'memory = [dict(configs=["{FPN}"], precisions=["amp"])]', '"amp"'),
        (
            f'memory = [dict(configs=["{FPN}"]), dict(configs=["{FPN}"], options={{"model.neck.out_channels": 32}})]',
            'differ',
        ),
        ('memory = [nothing]', 'NameError'),
    ],
)
def test_bad_grids_get_a_sentence(grid, text, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        grid(text)


def test_own_modules_are_imported_where_only_the_step_is_kept(tmp_path):
    path = tmp_path / 'net_est.py'
    path.write_text(f"_base_ = '{FPN}'\ncustom_imports = dict(imports=['mmest', 'json'], allow_failed_imports=False)\n")
    text, _ = config_text.config_text(str(path), {}, 'est', ('model',))
    (tmp_path / 'again.py').write_text(text)
    again = Config.fromfile(tmp_path / 'again.py')
    assert again.custom_imports.imports == ['json'] and 'optim_wrapper' not in again


def test_configs_of_the_chosen_part_alone_are_read(tmp_path):
    broken, path = tmp_path / 'broken_swin_est.py', tmp_path / 'grid.py'
    broken.write_text("model = dict(backbone='no config of a backbone')")
    path.write_text(f"""
memory = [dict(configs=['{broken}', '{FPN}'], tunings=['est', 'full'])]
time = [dict(configs=['{broken}', '{FPN}'], tunings=['est', 'full'])]
""")
    chosen = read_grid(str(path), ['fpn', 'full'])
    assert [(cell.kind, list(cell.request.get('tunings', ()))) for cell in chosen] == [
        ('memory', []),
        ('time', ['est', 'full']),
    ]
    with pytest.raises(ValueError, match='broken_swin_est'):
        read_grid(str(path))
