"""mmest train --cache-features: what it says, what it leaves, what it refuses."""

import json

import pytest
import torch

pytest.importorskip('mmseg')


def test_a_training_goes_on_from_what_the_backbone_computed(mmest, tiny, tmp_path, capsys):
    words = ['train', tiny, '--cache-features', tmp_path / 'features', '--cfg-options', 'train_cfg.max_iters=8']
    words += ['train_cfg.val_interval=8', 'default_hooks.checkpoint.interval=8', '--work-dir']
    assert mmest(*words, tmp_path / 'a') == 0
    said = ' '.join(capsys.readouterr().out.split())
    assert 'note: The feature cache takes' in said and '4 images in 4 views of' in said
    folder = next((tmp_path / 'features').iterdir())
    assert json.loads((folder / 'about.json').read_text())['backbone'] == 'SwinTransformer'
    kept = (folder / 'journal.bin').stat().st_size // 24
    assert 4 < kept <= 8, 'of each image more than one view was drawn'
    assert mmest(*words, tmp_path / 'b') == 0
    assert f'note: Of these it has {kept} from before.' in ' '.join(capsys.readouterr().out.split())
    first, again = (torch.load(tmp_path / name / 'iter_8.pth') for name in 'ab')
    assert all(torch.equal(value, again['state_dict'][key]) for key, value in first['state_dict'].items())
    assert (folder / 'journal.bin').stat().st_size // 24 == kept


def test_refusals_are_sentences(mmest, tiny, tmp_path):
    said = mmest('train', tiny, '--tuning', 'lora', '--cache-features', tmp_path / 'f', '--work-dir', tmp_path / 'w')
    assert 'but LoRA trains or acts inside of it' in said
    said = mmest('train', tiny, '--work-dir', tmp_path / 'w', '--cfg-options', 'feature_cache.views=2')
    assert 'it has folder=None and views=2' in said
    assert not (tmp_path / 'f').exists()
