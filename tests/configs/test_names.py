"""What names stand for, and what a run is called."""

from pathlib import Path

import pytest

from mmest.configs import find_config, head_and_backbone, open_config, read_config, run_stem
from mmest.configs.names import configs_root
from mmest.engine.launch import default_work_dir

LEAF = configs_root() / 'detection' / 'dior' / 'faster-rcnn.py'


@pytest.mark.parametrize(
    'name, backbone, tuning',
    [
        ('detection/dior/faster-rcnn', None, None),
        ('detection/dior/faster-rcnn.py', None, None),
        ('configs/detection/dior/faster-rcnn.py', None, None),
        ('mmest::detection/dior/faster-rcnn', None, None),
        ('mmest::detection/dior/faster-rcnn.py', None, None),
        (str(LEAF), None, None),
        ('configs/detection/dior/faster-rcnn_swin-b_est.py', 'swin-b', 'est'),
        (str(LEAF.with_name('faster-rcnn_r50_full.py')), 'r50', 'full'),
        ('detection/dior/faster-rcnn_vit-b_side_tuning', 'vit-b', 'side_tuning'),
        ('detection/dior/faster-rcnn_norm_tuning', None, 'norm_tuning'),
        ('detection/dior/faster-rcnn_convnext-b', 'convnext-b', None),
    ],
)
def test_a_shipped_config_is_found_from_any_folder(monkeypatch, tmp_path, name, backbone, tuning):
    monkeypatch.chdir(tmp_path)
    assert find_config(name) == (LEAF, backbone, tuning)


def test_configs_of_the_frameworks_are_found():
    pytest.importorskip('mmdet')
    found = find_config('mmdet::retinanet/retinanet_r50_fpn_1x_coco')
    assert found.path.is_file() and 'mmdet' in found.path.parts and found[1:] == (None, None)


@pytest.mark.parametrize(
    'name, near',
    [
        ('detection/dior/faster-rcn', 'Did you mean detection/dior/faster-rcnn or '),
        ('detection/dior/faster-rcnn_swin-x_est.py', 'detection/dior/faster-rcnn_swin-'),
        ('detection/dior/faster-rcnn_swin-t_ets', 'Did you mean detection/dior/faster-rcnn_swin-t_est'),
        ('mmdet::retinanet/nothing', 'mmest configs lists those of'),
        ('nowhere::detection/dior/faster-rcnn', 'There is no config "nowhere::'),
        ('detection/dior/faster-rcnn_', 'Did you mean detection/dior/faster-rcnn'),
        ('my/retinanet', 'Did you mean detection/'),
        (
            'segmentation/potsdam/upernet',
            'Did you mean segmentation/potsdam_five-classes/upernet or segmentation/potsdam_six-classes/upernet?',
        ),
        ('detection/dior/oriented_rcnn', 'Did you mean detection/dior_r/oriented-rcnn?'),
    ],
)
def test_near_names_are_suggested(name, near):
    with pytest.raises(FileNotFoundError) as error:
        find_config(name)
    assert near in str(error.value)


@pytest.mark.parametrize(
    'stem, rest',
    [
        ('faster-rcnn_swin-b_est', 'faster-rcnn_swin-b'),
        ('segformer_deit-t_side_tuning', 'segformer_deit-t'),
        ('my_norm_tuning', 'my'),
        ('fpn_swin', 'fpn_swin'),
        ('_est', '_est'),
        ('latest', 'latest'),
    ],
)
def test_the_method_is_taken_off_a_name(stem, rest):
    assert head_and_backbone(stem) == rest


@pytest.mark.parametrize(
    'name, backbone, tuning, stem',
    [
        ('detection/dior/faster-rcnn', None, None, 'faster-rcnn_swin-t_est'),
        ('detection/dior/faster-rcnn', 'vit-b', None, 'faster-rcnn_vit-b_est'),
        ('detection/dior/faster-rcnn', None, 'side_tuning', 'faster-rcnn_swin-t_side_tuning'),
        ('detection/dior/faster-rcnn_r50_full', None, 'lora', 'faster-rcnn_r50_lora'),
        ('demo/fpn_swin_est', None, None, 'fpn_swin_est'),
        ('demo/fpn_swin_est', None, 'norm_tuning', 'fpn_swin_norm_tuning'),
        ('demo/pretrain_fpn_swin', None, None, 'pretrain_fpn_swin'),
    ],
)
def test_a_run_is_named_by_what_runs(name, backbone, tuning, stem):
    assert run_stem(name, backbone, tuning) == stem


def test_own_configs_are_named_as_their_files_and_what_they_take(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path('plain.py').write_text('x = 1')
    Path('mine.py').write_text(f"_base_ = ['{LEAF}']")
    Path('its_lora.py').write_text(f"_base_ = ['{configs_root()}/_base_/tunings/est.py']")
    assert run_stem('plain.py') == 'plain'
    assert run_stem('plain.py', tuning='e3va') == 'plain_e3va'
    assert run_stem('mine.py') == 'mine_swin-t_est'
    assert run_stem('its_lora.py') == 'its_lora'


@pytest.mark.parametrize('ending', ['', '.py'])
def test_own_configs_inherit_from_shipped_ones_by_their_names(monkeypatch, tmp_path, ending):
    pytest.importorskip('mmdet')
    monkeypatch.chdir(tmp_path)
    Path('mine.py').write_text(f"_base_ = 'mmest::detection/dior/faster-rcnn{ending}'\ntrain_cfg = dict(max_epochs=3)")
    Path('other.py').write_text(f"_base_ = ['mmest::_base_/tunings/lora{ending}']")
    cfg, shipped = open_config('mine.py'), open_config('detection/dior/faster-rcnn')
    assert cfg.train_cfg.pop('max_epochs') == 3 and shipped.train_cfg.pop('max_epochs') == 12
    assert cfg.to_dict() == shipped.to_dict() and run_stem('mine.py') == 'mine_swin-t_est'
    assert open_config('other.py').tuning.type == 'LoRA' and run_stem('other.py') == 'other_lora'


@pytest.mark.parametrize(
    'text, method, width, stem',
    [
        ("tuning = 'lora'", dict(type='LoRA', lr_mult=10.0), 96, 'mine_swin-t_lora'),
        ("tuning = dict(type='LoRA')", dict(type='LoRA', lr_mult=10.0), 96, 'mine_swin-t'),
        ("tuning = dict(_delete_=True, type='LST')\nbackbone = 'swin-b'", dict(type='LST'), 128, 'mine_swin-b'),
        (
            "model = dict(backbone=dict(tuning=dict(_delete_=True, type='SSF')))",
            dict(type='SSF'),
            96,
            'mine_swin-t_ssf',
        ),
        (
            'model = dict(backbone=dict(tuning=dict(lr_mult=3.0)))',
            dict(type='EST', lr_mult=3.0),
            96,
            'mine_swin-t_est',
        ),
    ],
)
def test_what_a_config_names_on_top_of_a_shipped_one_is_what_runs(tmp_path, text, method, width, stem):
    pytest.importorskip('mmseg')
    mine, of_a_run = tmp_path / 'mine.py', tmp_path / 'of_a_run.py'
    mine.write_text(f"_base_ = 'mmest::segmentation/loveda/upernet'\n{text}")
    cfg = open_config(str(mine))
    assert cfg.model.backbone.tuning == method and cfg.model.backbone.backbone.embed_dims == width
    assert Path(cfg.filename).stem == stem
    swapped = open_config(str(mine), tuning='e3va')
    assert swapped.model.backbone.tuning.type == 'E3VA' and swapped.filename.endswith('_e3va.py')
    cfg.model.backbone.tuning.lr_mult = 3.0
    cfg.dump(of_a_run)
    again = open_config(str(of_a_run)).model.backbone
    assert again.tuning.lr_mult == 3.0 and again.backbone.embed_dims == width


@pytest.mark.parametrize(
    'type, stem', [('LoRA', 'upernet_swin-t_lora'), ('Own', 'upernet_swin-t_Own'), ('EST', 'upernet_swin-t_est')]
)
def test_an_option_that_changes_the_method_changes_the_name(type, stem):
    pytest.importorskip('mmseg')
    cfg = read_config('segmentation/loveda/upernet', {'model.backbone.tuning': dict(_delete_=True, type=type)})
    assert Path(cfg.filename).stem == stem


@pytest.mark.parametrize(
    'base, said',
    [
        ('detection/dior/faster-rcn', 'There is no config "mmest::detection/dior/faster-rcn". Did you mean detection/'),
        ('detection/dior/faster-rcnn_lora', 'another backbone or method, which a _base_ cannot name. Leave them out'),
    ],
)
def test_a_base_that_is_not_there_is_said(monkeypatch, tmp_path, base, said):
    monkeypatch.chdir(tmp_path)
    Path('mine.py').write_text(f"_base_ = 'mmest::{base}'")
    with pytest.raises(ValueError, match='The config mine.py cannot be read: ') as error:
        open_config('mine.py')
    assert said in str(error.value)


def test_the_work_folder_has_the_name_of_the_run(monkeypatch, tmp_path):
    pytest.importorskip('mmdet')
    monkeypatch.chdir(tmp_path)
    cfg = read_config('detection/dior/retinanet', {'randomness.seed': 7}, 'side_tuning', 'r50')
    assert default_work_dir(cfg) == Path('work_dirs/dior_retinanet_r50_side_tuning')
    assert cfg.randomness.seed == 7 and 'MMEST_DATA' in cfg.text
    with pytest.raises(ValueError, match='do not fit .*/retinanet.py: '):  # the file, not the run
        read_config('detection/dior/retinanet', {'train_dataloader.batch_size.x': 1}, 'lora')
    Path('plain.py').write_text("model = dict(backbone=dict(type='ESTBackbone', backbone=dict(type='ResNet')))")
    assert default_work_dir(open_config('plain.py')) == Path('work_dirs', f'{tmp_path.name}_plain')
