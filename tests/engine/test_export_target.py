"""What export refuses before it reads anything, and the config that it writes for plain mmdet."""

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmest.configs import read_config
from mmest.engine.export import export, plain_config


def test_a_folder_is_no_file_to_write(tmp_path):
    with pytest.raises(ValueError, match=r'is a folder; name the file to write, such as .*model\.pth'):
        export(tmp_path / 'delta.pth', tmp_path)


@pytest.mark.parametrize('name', ['dior/faster-rcnn', 'dota/retinanet', 'custom/retinanet'])
def test_a_plain_config_names_data_sets_of_mmdet(name, tmp_path):
    """Which builds one of the test wherever it opens a detector."""
    cfg = read_config(f'mmest::detection/{name}', tuning='full')
    plain_config(cfg).dump(tmp_path / 'plain.py')
    plain = Config.fromfile(tmp_path / 'plain.py')
    with DefaultScope.overwrite_default_scope('mmdet'):
        for loader in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            before, after = (DATASETS.build(dict(one[loader].dataset, lazy_init=True)) for one in (cfg, plain))
            assert type(after).__module__.startswith('mmdet.')
            assert after.metainfo['classes'] == before.metainfo['classes']
            assert after.ann_file == before.ann_file


def test_a_plain_config_of_dota_scores_what_mmdet_knows(tmp_path):
    """Its metric merges patches, and is mmest's."""
    cfg = read_config('mmest::detection/dota/retinanet', tuning='full')
    before = cfg.pretty_text
    plain_config(cfg).dump(tmp_path / 'plain.py')
    assert cfg.pretty_text == before
    plain = Config.fromfile(tmp_path / 'plain.py')
    for kind in ('val', 'test'):
        data, scored = plain[f'{kind}_dataloader'].dataset, plain[f'{kind}_evaluator']
        assert scored == dict(type='CocoMetric', ann_file=data.data_root + data.ann_file, metric='bbox')
        assert scored.ann_file.endswith('dota/annotations/val_patches.json')
    assert 'DOTABoxMetric' not in plain.pretty_text


def test_a_plain_config_keeps_data_sets_that_read_otherwise():
    cfg = read_config('mmest::segmentation/dubai/segformer', tuning='full')
    assert plain_config(cfg).train_dataloader.dataset.type == cfg.train_dataloader.dataset.type == 'DubaiDataset'
