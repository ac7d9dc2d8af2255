"""From own data and a few words to a config, and to a training."""

import copy
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import toy
from mmengine.config import Config
from mmengine.registry import DATASETS, init_default_scope

from mmest.configs import read_config
from mmest.datasets.own.prepare import prepare
from mmest.engine import own_training
from mmest.engine.own_training import DEFAULT_MODELS, Choices, models, own_config, use_data

sys.path.insert(0, str(Path(__file__).parents[1] / 'datasets' / 'own'))
import exports

EXPORTS = [export for group in exports.BOXES.values() for export in group] + list(exports.MASKS)


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Write an export and work in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def write(export):
        (tmp_path / 'own').mkdir()
        return export(tmp_path / 'own')

    return write


@pytest.fixture(scope='module')
def shipped():
    """A config of each task, to be copied."""
    return {task: read_config(f'mmest::{task}/custom/{model}') for task, model in DEFAULT_MODELS.items()}


@pytest.mark.parametrize('export', EXPORTS, ids=lambda f: f.__name__)
def test_the_loaders_of_the_config_give_what_was_drawn(export, own, shipped):
    truth = own(export)
    prepared = prepare(Path('own'), Path('prepared'))
    cfg = copy.deepcopy(shipped[prepared.task])
    use_data(cfg, prepared)
    init_default_scope(cfg.default_scope)
    drawn = {name: labels for images in truth.values() for name, labels in images.items()}
    seen = 0
    for split in ('train', 'val'):
        data = DATASETS.build(cfg[f'{split}_dataloader'].dataset)
        assert len(data) == prepared.counts[split], 'images without an object teach what none looks like'
        for index in range(len(data)):
            sample = data[index]['data_samples']
            seen += 1
            if split == 'train':
                continue  # flipped, at another scale: it loads
            labels = drawn[Path(sample.img_path).name]
            if cfg.default_scope == 'mmdet':
                found = np.hstack([sample.gt_instances.labels[:, None], sample.gt_instances.bboxes.tensor])
                np.testing.assert_allclose(found, np.array(labels).reshape(-1, 5), atol=1e-4)
            else:
                np.testing.assert_array_equal(sample.gt_sem_seg.data[0], labels)
    assert seen >= 6
    tested = 'test' if 'test' in prepared.counts else 'val'
    assert cfg.test_dataloader.dataset.ann_file == str(prepared.labels(tested))


def test_the_config_can_be_written_and_read(own):
    own(exports.roboflow_coco)
    cfg, said = own_config(Path('own'), Choices(model='retinanet', tuning='lora', iters=10))
    assert cfg.work_dir == 'work_dirs/own_retinanet_swin-t_lora'
    assert any('10 steps of 3' in line for line in said)
    cfg.dump('written.py')
    text = Path('written.py').read_text()
    assert 'my_data' not in text and 'class-1' not in text, 'of the data that the shipped config is for'
    again = Config.fromfile('written.py')
    assert again.model.bbox_head.num_classes == 2
    assert again.model.backbone.tuning.type == 'LoRA'
    assert again.train_dataloader.dataset.ann_file == cfg.train_dataloader.dataset.ann_file


def test_the_schedule_counts_the_images_of_all_processes(own, monkeypatch):
    """Each process takes a batch in every step."""
    own(exports.roboflow_coco)
    alone, _ = own_config(Path('own'), Choices(epochs=12, batch=2))
    monkeypatch.setenv('WORLD_SIZE', '3')
    cfg, _ = own_config(Path('own'), Choices(epochs=12, batch=2))
    assert cfg.train_dataloader.batch_size == alone.train_dataloader.batch_size == 2
    assert cfg.train_cfg.max_iters * 3 == alone.train_cfg.max_iters
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(alone.optim_wrapper.optimizer.lr * 3**0.5)


@pytest.mark.parametrize('export', [exports.roboflow_coco, exports.binary_masks], ids=lambda f: f.__name__)
def test_the_batch_is_planned_for_the_largest_images_of_training(export, own, monkeypatch):
    """Detection pads a batch to its largest image, and draws the scale of each."""
    sides = []
    monkeypatch.setattr(own_training, 'largest_batch', lambda cfg, side: (sides.append(side) or 2, 'so many'))
    own(export)
    cfg, said = own_config(Path('own'), Choices(batch='auto'))
    assert 'so many' in said and cfg.train_dataloader.batch_size == 2
    init_default_scope(cfg.default_scope)
    data = DATASETS.build(cfg.train_dataloader.dataset)
    np.random.seed(0)
    shown = max(max(data[index % len(data)]['inputs'].shape) for index in range(40))
    assert -(-shown // 32) == -(-sides[0] // 32)


@pytest.mark.parametrize('model', sorted(models()))
def test_every_model_learns_the_classes_of_the_data(model, own):
    own(exports.cvat_coco)
    cfg, _ = own_config(Path('own'), Choices(model=model))
    expected = 2 if cfg.default_scope == 'mmdet' else 3
    text = cfg.pretty_text
    assert f'num_classes={expected}' in text
    assert text.count('num_classes=') == text.count(f'num_classes={expected}')
    assert cfg.train_cfg.type == 'IterBasedTrainLoop'
    if cfg.default_scope == 'mmdet':
        assert (cfg.model.test_cfg.get('rcnn') or cfg.model.test_cfg).max_per_img == 1000


def test_large_images_with_large_objects_are_scaled_alike_in_training_and_evaluation(own, monkeypatch):
    monkeypatch.setattr(exports, 'SIZE', (960, 640))
    own(exports.voc_flat)
    cfg, said = own_config(Path('own'), Choices(size=480))
    assert any('scaled to 480 as a whole' in line for line in said)
    assert cfg.val_dataloader.dataset.pipeline[1].scale_factor == 0.5
    factors = [one[0].scale_factor for one in cfg.train_dataloader.dataset.pipeline[2].transforms]
    assert factors[len(factors) // 2] == 0.5
    assert (cfg.training_scale.factor, cfg.training_scale.tile) == (0.5, 960)


@pytest.mark.parametrize(
    'choices, message',
    [
        (Choices(model='faster'), 'There is no model "faster" for own data; choose one of cascade-rcnn, faster-rcnn'),
        (Choices(model='upernet'), 'boxes without outlines'),
        (Choices(backbone='swin-x'), 'There is no backbone "swin-x"'),
        (Choices(tuning='estt'), 'There is no tuning method "estt"'),
        (Choices(weights=Path('no.pth')), '--weights: there is no file "no.pth"'),
        (Choices(options={'model.backbone.tuning.type.x': 1}), 'do not fit'),
    ],
)
def test_choices_that_do_not_fit_are_said(choices, message, own):
    own(exports.voc_flat)
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        own_config(Path('own'), choices)


@pytest.mark.parametrize('resume', ['work/iter_9.pth', ''])
def test_what_trained_does_not_validate_when_a_run_goes_on(resume, own, monkeypatch):
    """Without a checkpoint it starts from the beginning, and all may be split anew."""
    own(exports.label_studio)
    cfg, _ = own_config(Path('own'), Choices(), Path('work'))
    validated = {one['file_name'] for one in json.loads(Path(cfg.val_evaluator.ann_file).read_text())['images']}
    file = Path('own/result.json')
    content = json.loads(file.read_text('utf-8-sig'))
    content['images'] = [one for one in content['images'] if one['file_name'].replace('\\', '/') not in validated]
    file.write_text(json.dumps(content))
    found = [Path('work/iter_9.pth')]
    monkeypatch.setattr(own_training, 'latest_complete_checkpoint', lambda work_dir: found[0])
    with pytest.raises(ValueError, match='own has changed, and 2 of the images that the run to go on with trained on'):
        own_config(Path('own'), Choices(), Path('work'), resume=resume)
    if not resume:
        found[0] = None
        own_config(Path('own'), Choices(), Path('work'), resume=resume)


@pytest.mark.parametrize('made, side', [(64, 64), (512, 96)])
def test_a_made_set_has_its_size(made, side, own):
    """Which is that of its images, or the one that was asked for: that of larger tiles than the images are."""
    own(exports.index_masks)
    prepare(Path('own'), Path('made'), size=made, copy=True)
    for size in (None, made, side):
        cfg, _ = own_config(Path('made'), Choices(model='fcn', size=size))
        assert cfg.training_scale.tile == side
    with pytest.raises(ValueError, match=f'made was prepared for {side} pixels; leave --size out, or for 256 make it'):
        own_config(Path('made'), Choices(model='fcn', size=256))


@pytest.mark.parametrize('export, model', [(exports.roboflow_coco, 'light-retinanet'), (exports.binary_masks, 'fcn')])
def test_a_training_of_some_steps_ends_with_the_best_checkpoint(export, model, own, weights, capsys):
    from mmest.cli import main

    own(export)
    name = 'swin' if model == 'light-retinanet' else 'swin_mmseg'
    backbone = {f'model.backbone.backbone.{key}': value for key, value in toy.BACKBONES[name].items() if key != 'type'}
    channels = [32, 64, 128]
    heads = {'model.neck.in_channels': channels} if name == 'swin' else {'model.decode_head.in_channels': 64}
    more = {'model.backbone.backbone.convert_weights': False} if name == 'swin' else {}
    options = [f'{key}={value}' for key, value in {**backbone, **heads, **more}.items()]
    options += ['train_dataloader.num_workers=0', 'val_dataloader.num_workers=0', 'default_hooks.logger.interval=1']
    arguments = ['--data', 'own', '--model', model, '--iters', '4', '--batch', '2', '--weights', str(weights[name])]
    main(['train', *arguments, '--cfg-options', *[option.replace(' ', '') for option in options]])
    (run,) = Path('work_dirs').iterdir()
    assert run.name == f'own_{model}_swin-t_est'
    assert list(run.glob('best_*.pth')) or list(run.glob('iter_4.pth'))
    assert (run / 'data' / 'mmest_data.json').is_file()
    content = torch.load(next(run.glob('iter_*.pth')), weights_only=True)
    assert content['meta']['dataset_meta']['classes'] in (('plane', 'ship'), ('background', 'foreground'))
    assert '4 steps of 2' in capsys.readouterr().out
    if model == 'fcn':
        config = next(run.glob('*.py'))
        before = Config.fromfile(config)
        main(['test', str(config), str(next(run.glob('iter_*.pth'))), '--show-dir', 'shown'])
        assert len(list(Path('shown').glob('*.png'))) == 1
        assert Config.fromfile(config).custom_hooks == before.custom_hooks
