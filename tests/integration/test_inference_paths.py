"""A delta checkpoint through every loading path of mmdet and mmseg gives the trained model, bit for bit."""
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from toy import BACKBONES

from mmest.datasets.synthetic import CLASSES, OBJECT_CLASSES, PALETTE, write_dataset
from mmest.engine.export import export
from mmest.engine.freeze import digests
from mmest.utils import configs_root, load_tuning, set_tuning

SHORT = dict(
    train_cfg=dict(_delete_=True, type='IterBasedTrainLoop', max_iters=2, val_interval=9), param_scheduler=[],
    auto_scale_lr=None, log_processor=dict(by_epoch=False), log_level='WARNING',
    default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1)))


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp('scenes') / 'data'
    write_dataset(out, dict(source=dict(train=2, val=2)), size=64, workers=1)
    return out / 'source'


def write_config(task: str, data: Path, checkpoint: Path, folder: Path) -> Path:
    """A tiny RetinaNet or SegFormer of the shipped bases on the drawn scenes."""
    base = configs_root() / '_base_'
    wrapped = dict(_delete_=True, type='TunedBackbone', tuning=dict(load_tuning('est')), backbone=dict(
        BACKBONES['swin'], init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint))))
    channels = [16, 32, 64, 128]
    loader = dict(num_workers=0, batch_size=2)
    if task == 'detection':
        bases = ['models/light-retinanet.py', 'datasets/coco_custom_detection.py', 'schedules/adamw_12e.py']
        model = dict(backbone=wrapped, neck=dict(in_channels=channels, out_channels=64, start_level=1, num_outs=4),
                     bbox_head=dict(num_classes=len(OBJECT_CLASSES)))
        dataset = dict(data_root=str(data), metainfo=dict(classes=tuple(OBJECT_CLASSES)))
        splits = {split: dict(dataset, ann_file=f'annotations/{split}.json', data_prefix=dict(img=f'images/{split}/'))
                  for split in ('train', 'val')}
        extra = dict(val_evaluator=dict(ann_file=str(data / 'annotations/val.json')),
                     test_evaluator=dict(ann_file=str(data / 'annotations/val.json')))
    else:
        bases = ['models/light-segformer.py', 'datasets/folder_segmentation.py', 'schedules/adamw_20k.py']
        model = dict(backbone=wrapped, data_preprocessor=dict(size=(64, 64)),
                     decode_head=dict(in_channels=channels, in_index=[0, 1, 2, 3], num_classes=len(CLASSES)))
        dataset = dict(data_root=str(data), metainfo=dict(classes=tuple(CLASSES), palette=[list(c) for c in PALETTE]))
        splits = {split: dataset for split in ('train', 'val')}
        extra = {}
    lines = [f'_base_ = {[str(base / name) for name in bases]}', f'model = {model}']
    for split, name in (('train', 'train'), ('val', 'val'), ('val', 'test')):
        lines.append(f'{name}_dataloader = {dict(loader, dataset=splits[split])}')
    lines += [f'{key} = {value!r}' for key, value in {**SHORT, **extra}.items()]
    path = folder / f'tiny_{task}.py'
    path.write_text('\n'.join(lines))
    return path


@pytest.fixture(scope='module', params=['detection', 'segmentation'])
def trained(request, data, weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    path = write_config(request.param, data, weights['swin'], folder)
    cfg = Config.fromfile(path)
    cfg.work_dir = cfg.experiment_name = str(folder / 'work')
    runner = Runner.from_cfg(cfg)
    runner.train()
    return request.param, path, folder / 'work' / 'iter_2.pth', digests(runner.model.state_dict().items()), data


def of(model):
    return digests(model.state_dict().items())


def test_runner_test(trained):
    task, config, delta, expected, _ = trained
    cfg = Config.fromfile(config)
    cfg.work_dir, cfg.load_from, cfg.experiment_name = str(delta.parent / 'test'), str(delta), f'test-{task}'
    runner = Runner.from_cfg(cfg)
    runner.test()
    assert of(runner.model) == expected


def test_init_function(trained):
    task, config, delta, expected, _ = trained
    if task == 'detection':
        from mmdet.apis import init_detector as init
    else:
        from mmseg.apis import init_model as init
    assert of(init(str(config), str(delta), device='cpu')) == expected


@pytest.mark.parametrize('with_config', [True, False])
def test_inferencer(trained, with_config):
    task, config, delta, expected, data = trained
    if task == 'detection':
        from mmdet.apis import DetInferencer
        inferencer = DetInferencer(str(config) if with_config else None, str(delta), device='cpu', show_progress=False)
    elif not with_config:
        pytest.skip('MMSegInferencer asks for a config')
    else:
        from mmseg.apis import MMSegInferencer
        inferencer = MMSegInferencer(str(config), str(delta), device='cpu')
        inferencer.show_progress = False
    assert of(inferencer.model) == expected
    assert inferencer(str(data / 'images' / 'val' / '00000.png'))['predictions'] is not None


def test_init_function_refuses_a_truncated_file(trained, tmp_path):
    task, config, delta, _, _ = trained
    cut = tmp_path / 'cut.pth'
    cut.write_bytes(delta.read_bytes()[:20000])
    if task == 'detection':
        from mmdet.apis import init_detector as init
    else:
        from mmseg.apis import init_model as init
    with pytest.raises(ValueError, match='truncated or damaged'):
        init(str(config), str(cut), device='cpu')


def test_exported_checkpoint_needs_no_pretrained_file(trained, tmp_path):
    task, config, delta, expected, _ = trained
    out = tmp_path / 'whole.pth'
    export(delta, out)
    text = config.read_text()
    alone = tmp_path / config.name
    weights = text.split("'checkpoint': '")[1].split("'")[0]
    alone.write_text(text.replace(weights, str(tmp_path / 'nowhere.pth')))
    if task == 'detection':
        from mmdet.apis import init_detector as init
    else:
        from mmseg.apis import init_model as init
    assert of(init(str(alone), str(out), device='cpu')) == expected
    with pytest.raises(ValueError, match='would overwrite its source'):
        export(delta, delta)


@pytest.mark.parametrize('tuning', ['full', 'frozen', 'partial'])
def test_methods_without_modules_export_to_the_plain_framework(data, weights, tmp_path, tuning):
    from mmengine.registry import MODELS
    cfg = Config.fromfile(write_config('segmentation', data, weights['swin'], tmp_path))
    set_tuning(cfg, tuning)
    cfg.work_dir = cfg.experiment_name = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    runner.train()
    export(tmp_path / 'iter_2.pth', tmp_path / 'plain.pth')
    plain = cfg.model.copy()
    plain.backbone = plain.backbone.backbone
    init_default_scope('mmseg')
    model = MODELS.build(plain)
    model.load_state_dict(torch.load(tmp_path / 'plain.pth')['state_dict'], strict=True)
    model.eval()
    runner.model.eval()
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(model(x), runner.model(x))
