"""What the guides tell contributors to write works as it stands there."""

import re
import sys
import textwrap
from pathlib import Path

import numpy as np
import official_trees as trees
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope
from toy import build, image

import mmest.datasets.official
from mmest import TUNINGS
from mmest.benchmark.grid import read_grid
from mmest.cli import main
from mmest.configs import configs_root
from mmest.datasets.preparation import registry

ROOT = Path(__file__).parents[2]


def recipe(file: str, name: str) -> str:
    """The text of a file that a numbered step of a guide names."""
    guide = (ROOT / file).read_text(encoding='utf-8')
    found = re.search(rf'^\d\. `{re.escape(name)}`.*?```python\n(.*?)^ *```', guide, re.DOTALL | re.MULTILINE)
    return textwrap.dedent(found[1])


def test_the_method():
    try:
        exec(recipe('CONTRIBUTING.md', 'mmest/tuning/branch_scale.py'), dict(__name__='branch_scale'))
        names: dict = {}
        exec(recipe('CONTRIBUTING.md', 'configs/_base_/tunings/branch_scale.py'), names)
        tuned, plain = build('swin', names['tuning']).eval(), build('swin')
        plain.load_state_dict(tuned.backbone.state_dict())
        plain.eval()
        assert all(torch.equal(a, b) for a, b in zip(tuned(image()), plain(image())))
        assert {tuple(p.shape) for p in tuned.method.parameters()} == {(16,), (32,), (64,), (128,)}
    finally:
        TUNINGS.module_dict.pop('BranchScale', None)


def test_the_data_set(tmp_path, monkeypatch, capsys):
    guide = 'docs/datasets/README.md'
    folder = tmp_path / 'official'
    folder.mkdir()
    (folder / 'riverbanks.py').write_text(recipe(guide, 'mmest/datasets/official/riverbanks.py'))
    monkeypatch.setattr(registry, '_FOLDER', folder)
    monkeypatch.setattr(mmest.datasets.official, '__path__', [str(folder)])
    masks = {f'{split}/masks/{name}.png': np.full((8, 8), number, np.uint8)
             for number, (split, name) in enumerate((('train', 'a'), ('train', 'b'), ('val', 'c')))}  # fmt: skip
    for name, mask in masks.items():
        trees.write(tmp_path / 'source' / name, mask)
        trees.write(tmp_path / 'source' / name.replace('masks', 'images'), np.zeros((8, 8, 3), np.uint8))
    try:
        main(
            ['data', 'prepare', 'riverbanks', str(tmp_path / 'source'), str(tmp_path / 'riverbanks'), '--workers', '1']
        )
    except SystemExit as end:
        assert not end.code
    finally:
        sys.modules.pop('mmest.datasets.official.riverbanks', None)
    assert 'All numbers are those of the publisher' in capsys.readouterr().out
    text = recipe(guide, 'configs/_base_/datasets/riverbanks_segmentation.py')
    config = tmp_path / 'riverbanks_segmentation.py'
    config.write_text(text.replace("'./", f"'{configs_root()}/_base_/datasets/"))
    monkeypatch.setenv('MMEST_DATA', str(tmp_path))
    init_default_scope('mmseg')
    cfg = Config.fromfile(config)
    for split, count in (('train', 2), ('val', 1)):
        data = DATASETS.build(dict(cfg[f'{split}_dataloader'].dataset, pipeline=[]))
        assert len(data) == count and data.metainfo['classes'] == ('water', 'sand', 'vegetation')


def test_the_grid_of_ones_own_data(tmp_path):
    guide = (ROOT / 'docs' / 'methods.md').read_text(encoding='utf-8')
    text = re.search(r'```python\n(# compare.py\n.*?)```', guide, re.DOTALL)[1]
    theirs = re.search(r"configs=\['(.*)'\]", text)[1]
    assert Path(theirs).parent.name.endswith(Path(theirs).stem)  # as mmest train names its folders
    (tmp_path / 'compare.py').write_text(text.replace(theirs, str(configs_root() / 'demo' / 'retinanet_swin_est.py')))
    cells = read_grid(str(tmp_path / 'compare.py'))
    assert len(cells) == 4 * (3 + 2) and sum(cell.kind == 'sweep' for cell in cells) == 12
