"""A delta checkpoint through every loading path of mmdet and mmseg gives the trained model, bit for bit."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from toy import BACKBONES

from mmest.checkpoints.digests import digests
from mmest.configs import configs_root, load_tuning, set_tuning
from mmest.datasets.synthetic import CLASSES, OBJECT_CLASSES, PALETTE, write_dataset
from mmest.engine.export import export

SHORT = dict(
    train_cfg=dict(_delete_=True, type='IterBasedTrainLoop', max_iters=2, val_interval=9),
    param_scheduler=[],
    auto_scale_lr=None,
    log_processor=dict(by_epoch=False),
    log_level='WARNING',
    default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=1)),
)


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp('scenes') / 'data'
    write_dataset(out, dict(source=dict(train=2, val=2)), size=64, workers=1)
    return out / 'source'


def write_config(task: str, data: Path, checkpoint: Path, folder: Path) -> Path:
    """A tiny RetinaNet or SegFormer of the shipped bases on the drawn scenes."""
    base = configs_root() / '_base_'
    wrapped = dict(
        _delete_=True,
        type='TunedBackbone',
        tuning=dict(load_tuning('est')),
        backbone=dict(BACKBONES['swin'], init_cfg=dict(type='Pretrained', checkpoint=str(checkpoint))),
    )
    channels = [16, 32, 64, 128]
    loader = dict(num_workers=0, batch_size=2)
    if task == 'detection':
        bases = ['models/light-retinanet.py', 'datasets/coco_custom_detection.py', 'schedules/adamw_12e.py']
        model = dict(
            backbone=wrapped,
            neck=dict(in_channels=channels, out_channels=64, start_level=1, num_outs=4),
            bbox_head=dict(num_classes=len(OBJECT_CLASSES)),
        )
        dataset = dict(data_root=str(data), metainfo=dict(classes=tuple(OBJECT_CLASSES)))
        splits = {
            split: dict(dataset, ann_file=f'annotations/{split}.json', data_prefix=dict(img=f'images/{split}/'))
            for split in ('train', 'val')
        }
        extra = dict(
            val_evaluator=dict(ann_file=str(data / 'annotations/val.json')),
            test_evaluator=dict(ann_file=str(data / 'annotations/val.json')),
        )
    else:
        bases = ['models/light-segformer.py', 'datasets/folder_segmentation.py', 'schedules/adamw_20k.py']
        model = dict(
            backbone=wrapped,
            data_preprocessor=dict(size=(64, 64)),
            decode_head=dict(in_channels=channels, in_index=[0, 1, 2, 3], num_classes=len(CLASSES)),
        )
        dataset = dict(data_root=str(data), metainfo=dict(classes=tuple(CLASSES), palette=[list(c) for c in PALETTE]))
        splits = dict.fromkeys(('train', 'val'), dataset)
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


def by_runner_test(task, config, checkpoint, folder):
    cfg = Config.fromfile(config)
    cfg.work_dir = cfg.experiment_name = str(folder / 'test')
    cfg.load_from = str(checkpoint)
    runner = Runner.from_cfg(cfg)
    runner.test()
    return runner.model


def by_init_function(task, config, checkpoint, folder):
    if task == 'detection':
        from mmdet.apis import init_detector as init
    else:
        from mmseg.apis import init_model as init
    return init(str(config), str(checkpoint), device='cpu')


def inferencer(task, config, checkpoint):
    if task == 'detection':
        from mmdet.apis import DetInferencer

        return DetInferencer(config and str(config), str(checkpoint), device='cpu', show_progress=False)
    from mmseg.apis import MMSegInferencer

    made = MMSegInferencer(str(config), str(checkpoint), device='cpu')
    made.show_progress = False
    return made


def by_inferencer(task, config, checkpoint, folder):
    return inferencer(task, config, checkpoint).model


def by_test_time_augmentation(task, config, checkpoint, folder):
    """As ``--tta`` of mmdet's and mmseg's tools/test.py has it: images as they are and flipped."""
    cfg = Config.fromfile(config)
    cfg.work_dir = cfg.experiment_name = str(folder / 'flipped')
    cfg.load_from = str(checkpoint)
    flips = [dict(type='RandomFlip', prob=prob) for prob in (0.0, 1.0)]
    kind, pack, more = ('Seg', 'PackSegInputs', {}) if task == 'segmentation' else ('Det', 'PackDetInputs', _MERGED)
    steps = [[dict(type='Resize', scale=(64, 64))], flips, [dict(type='LoadAnnotations')]]
    if task == 'detection':
        steps[-1][0].update(with_bbox=True)
    packed = dict(type=pack, meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', *_FLIPPED))
    cfg.test_dataloader.dataset.pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='TestTimeAug', transforms=[*steps, [packed]]),
    ]
    cfg.model = dict(type=f'{kind}TTAModel', module=cfg.model, **more)
    runner = Runner.from_cfg(cfg)
    runner.test()
    return runner.model.module


_FLIPPED = ('flip', 'flip_direction')
_MERGED = dict(tta_cfg=dict(nms=dict(type='nms', iou_threshold=0.5), max_per_img=100))

PATHS = pytest.mark.parametrize(
    'load', [by_runner_test, by_init_function, by_inferencer, by_test_time_augmentation], ids=lambda load: load.__name__
)


@PATHS
def test_gives_the_trained_model(trained, load, tmp_path):
    task, config, delta, expected, _ = trained
    assert of(load(task, config, delta, tmp_path)) == expected


@pytest.mark.parametrize('with_config', [True, False])
def test_inferencer_predicts(trained, with_config):
    task, config, delta, expected, data = trained
    if task == 'segmentation' and not with_config:
        pytest.skip('MMSegInferencer asks for a config')
    made = inferencer(task, config if with_config else None, delta)
    assert of(made.model) == expected
    assert made(str(data / 'images' / 'val' / '00000.png'))['predictions'] is not None


@PATHS
def test_refuses_a_truncated_file(trained, load, tmp_path):
    task, config, delta, _, _ = trained
    cut = tmp_path / 'cut.pth'
    cut.write_bytes(delta.read_bytes()[:20000])
    # An inferencer loads before there is a model, by torch's own words.
    kind, sentence = (OSError, '') if load is by_inferencer else (ValueError, 'truncated or damaged')
    with pytest.raises(kind, match=sentence):
        load(task, config, cut, tmp_path)


@PATHS
@pytest.mark.parametrize(
    'old, new, message',
    [
        ("'depths': (2, 1, 1, 1)", "'depths': (2, 1, 2, 1)", 'belongs to SwinTransformer'),
        ('swin.pth', 'other.pth', 'another fingerprint'),
    ],
)
def test_refuses_another_backbone_or_other_weights(trained, load, weights, tmp_path, old, new, message):
    task, config, delta, _, _ = trained
    other = torch.load(weights['swin'])
    key = next(key for key in other['state_dict'] if key.endswith('qkv.weight'))
    other['state_dict'][key][0, 0] += 1e-6
    torch.save(other, weights['swin'].with_name('other.pth'))
    changed = tmp_path / config.name
    changed.write_text(config.read_text().replace(old, new))
    assert changed.read_text() != config.read_text()
    with pytest.raises(ValueError, match=message):
        load(task, changed, delta, tmp_path)


def test_exported_checkpoint_needs_no_pretrained_file(trained, weights, tmp_path):
    task, config, delta, expected, _ = trained
    export(delta, tmp_path / 'whole.pth')
    alone = tmp_path / config.name
    alone.write_text(config.read_text().replace(str(weights['swin']), str(tmp_path / 'nowhere.pth')))
    assert of(by_init_function(task, alone, tmp_path / 'whole.pth', tmp_path)) == expected


# In a process that cannot import mmest: what is exported depends on nothing of it.
PLAIN = """
import json, sys, torch
sys.modules['mmest'] = None
torch.set_num_threads(1)
from mmengine.config import Config
from mmengine.runner import Runner
from mmdet.apis import DetInferencer, init_detector
from mmseg.apis import MMSegInferencer, init_model
for folder, task in {cases!r}:
    init = dict(detection=init_detector, segmentation=init_model)[task]
    model = init(folder + '/plain.py', folder + '/plain.pth', device='cpu')
    image = torch.load(folder + '/image.pth')
    with torch.no_grad():
        torch.save(model(image), folder + '/scores.pth')
    if task == 'detection':
        inferencer = DetInferencer(weights=folder + '/plain.pth', device='cpu', show_progress=False)
    else:
        inferencer = MMSegInferencer(folder + '/plain.py', folder + '/plain.pth', device='cpu')
    inferencer({picture!r})
    cfg = Config.fromfile(folder + '/plain.py')
    cfg.merge_from_dict(dict(load_from=folder + '/plain.pth', work_dir=folder + '/test'))
    metrics = Runner.from_cfg(cfg).test()
    json.dump(metrics, open(folder + '/metrics.json', 'w'), default=float)
"""


def tensors(scores):
    return [scores] if torch.is_tensor(scores) else [tensor for part in scores for tensor in tensors(part)]


def test_methods_without_modules_export_to_the_plain_framework(data, weights, tmp_path):
    """One process that knows nothing of mmest loads them all: most of its time goes into imports."""
    cases = {'detection': ['partial'], 'segmentation': ['full', 'frozen']}
    expected = {}
    for task, tuning in ((task, tuning) for task, tunings in cases.items() for tuning in tunings):
        folder = tmp_path / tuning
        folder.mkdir()
        cfg = Config.fromfile(write_config(task, data, weights['swin'], folder))
        set_tuning(cfg, tuning)
        cfg.work_dir = cfg.experiment_name = str(folder)
        runner = Runner.from_cfg(cfg)
        runner.train()
        export(folder / 'iter_2.pth', folder / 'plain.pth')
        (folder / 'plain.py').write_text(torch.load(folder / 'plain.pth')['meta']['cfg'])
        image = torch.rand(1, 3, 64, 64)
        torch.save(image, folder / 'image.pth')
        with torch.no_grad():
            expected[str(folder), task] = tensors(runner.model.eval()(image)), runner.test()
    program = PLAIN.format(cases=list(expected), picture=str(data / 'images' / 'val' / '00000.png'))
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    for (folder, _), (wanted, metrics) in expected.items():
        assert json.loads(Path(folder, 'metrics.json').read_text()) == pytest.approx(metrics, nan_ok=True), folder
        given = tensors(torch.load(f'{folder}/scores.pth'))
        assert len(given) == len(wanted) and all(map(torch.equal, given, wanted)), folder
