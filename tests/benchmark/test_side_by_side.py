"""Trainings side by side are those of a runner: the same batches, losses, weights and scores."""

import io
import json
import traceback
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import PixelData
from PIL import Image
from rich.console import Console
from torch.utils._python_dispatch import TorchDispatchMode

from mmest.benchmark import claims, data_digest
from mmest.benchmark.cell import Cell
from mmest.benchmark.config_text import config_text
from mmest.benchmark.together.batches import _of_one_size, batches_of, key_of
from mmest.benchmark.together.bundle import make_batches, train_bundle
from mmest.benchmark.together.evaluation import Evaluations
from mmest.benchmark.together.lane import Lane
from mmest.benchmark.together.run import _needed, run_together
from mmest.benchmark.together.schedule import schedule_of
from mmest.benchmark.together.step import TrainingStep, refuse_what_a_runner_would_do
from mmest.benchmark.training import losses, training_config
from mmest.engine.launch import check_training, training_runner
from mmest.files import write_json

LINEAR = dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=2)
COSINE = dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=2, end=4)
SEGMENTOR = """
param_scheduler = [{linear}, {cosine}]
train_cfg['max_iters'] = 4
train_dataloader.update(batch_size=4, num_workers=2)
optim_wrapper['optimizer'].update(eps=1e-3, betas=(0.8, 0.99))
model['data_preprocessor']['size'] = (64, 64)
"""
DETECTOR = """
param_scheduler = [{linear}, dict({cosine}, by_epoch=True, begin=0, end=2, convert_to_iter_based=True)]
train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=2, val_interval=2)
default_hooks['checkpoint'] = dict(type='CheckpointHook', interval=2)
log_processor['by_epoch'] = True
optim_wrapper['clip_grad'] = dict(max_norm=1.0)
# Not L1, whose gradient changes sign where a box is right: there the last bit of a weight turns a whole training.
model['bbox_head']['loss_bbox'] = dict(type='SmoothL1Loss')
# Of 24 images: the last batch is not full.
train_dataloader.update(
    batch_size=5, num_workers=2, drop_last=True, sampler=dict(type='DefaultSampler', shuffle=True)
)
"""


@pytest.fixture
def cell(config):
    def make(name: str, method: str = 'est', **about) -> Cell:
        path = str(config(name))
        text, tuning = config_text(path, {}, method)
        text += (DETECTOR if name.startswith('retinanet') else SEGMENTOR).format(linear=LINEAR, cosine=COSINE)
        request = dict(
            kind='accuracy', config=path, options={}, variant='', method=method, tuning=tuning, config_text=text
        )
        request = {**request, 'seed': 0, 'sweep': None, **about}
        return Cell(f'{request["kind"]}_{name}_{method}_{len(about)}_{about.get("factor")}', request)

    return make


def begun(one: Cell, folder: Path) -> tuple[Lane, int]:
    """A lane before the first step of a cell's training, and the steps of an epoch."""
    cfg, _ = training_config(one.request, folder / 'lane', folder)
    init_default_scope(cfg.default_scope)
    batches = batches_of(cfg, folder / 'batches')
    epoch = int(batches.pop('epoch'))
    lane = Lane(batches, Evaluations())
    lane.begin(one, len(batches['images']), epoch, folder / 'lane', folder)
    return lane, epoch


class Log(Hook):
    def __init__(self) -> None:
        self.losses, self.metrics = [], {}

    def before_train(self, runner) -> None:
        self.start = {name: value.clone() for name, value in runner.model.state_dict().items()}

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.losses.append(outputs['loss'].item())

    def after_val_epoch(self, runner, metrics=None) -> None:
        self.metrics = metrics


def as_a_runner(one: Cell, tmp_path: Path) -> None:
    cfg, _ = training_config(one.request, tmp_path / 'runner', tmp_path)
    check_training(cfg)
    runner, log = training_runner(cfg), Log()
    runner.register_hook(log)
    runner.train()

    # From the runner's weights: they are drawn after it has begun to read data.
    lane, epoch = begun(one, tmp_path)
    lane.weights = log.start
    lane.step.start(log.start, lane.rates, schedule_of(lane.cfg, lane.steps, epoch))
    for _ in range(lane.steps):
        lane.step()
    result = lane.end()
    assert len(log.losses) == lane.steps
    torch.testing.assert_close(lane.step.losses, torch.tensor(log.losses), rtol=1e-4, atol=1e-5)
    for key, value in lane.step.model.state_dict().items():
        torch.testing.assert_close(value, runner.model.state_dict()[key], rtol=1e-3, atol=1e-4)
    assert result['metrics'] == pytest.approx({k: float(v) for k, v in log.metrics.items()}, abs=0.5, nan_ok=True)
    logged = losses(tmp_path / 'runner')
    assert [step for step, _ in result['losses']] == [step for step, _ in logged]
    assert [loss for _, loss in result['losses']] == pytest.approx([loss for _, loss in logged], rel=1e-3)


@pytest.mark.parametrize('name', ['fpn_swin_est', 'retinanet_swin_est'])
@pytest.mark.parametrize('method', ['est', 'full'])
def test_a_training_is_that_of_a_runner(cell, tmp_path, name, method):
    as_a_runner(cell(name, method), tmp_path)


def test_ignored_pixels_are_those_of_a_runner(cell, own_data, tmp_path):
    """Beside weights of classes."""
    for path in (own_data / 'masks' / 'train').iterdir():
        mask = np.array(Image.open(path))
        mask[:32] = 255
        cv2.imwrite(str(path), mask)
    one = cell('fpn_swin_est')
    one.request['config_text'] += (
        "head = model['decode_head']\n"
        "head['loss_decode']['class_weight'] = list(range(1, 1 + head['num_classes']))\n"
        'del head\n'
    )
    as_a_runner(one, tmp_path)


def test_ignored_objects_are_those_of_a_runner(cell, own_data, tmp_path):
    path = own_data / 'annotations' / 'train.json'
    content = json.loads(path.read_text())
    for annotation in content['annotations'][::2]:
        annotation['iscrowd'] = 1
    path.write_text(json.dumps(content))
    as_a_runner(cell('retinanet_swin_est'), tmp_path)


class Waits(TorchDispatchMode):
    """Where a step would wait for a card, which no CUDA graph can: a tensor's value is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        if any(word in str(function) for word in ('local_scalar', 'nonzero', 'masked_select', 'unique')):
            files = {Path(frame.filename).name for frame in traceback.extract_stack()}
            if not files & {'optimizer.py', 'adam.py'}:  # on a card it is another
                self.seen.add(f'{function}: {files}')
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize('name', ['fpn_swin_est', 'retinanet_swin_est'])
def test_a_step_never_waits_for_the_device(cell, tmp_path, name):
    lane, _ = begun(cell(name), tmp_path)
    lane.step()
    with Waits() as waits:
        lane.step()
    assert not waits.seen


def test_cells_of_a_grid_are_trained_in_processes_and_a_sweep_comes_first(cell, tmp_path):
    sweep = dict(factors=[0.5, 1.0], held_out=0.3, of='method')
    cells = []
    for method in ('est', 'frozen'):
        swept = [
            cell('fpn_swin_est', method, kind='sweep', factor=factor, held_out=0.3, factor_of='method')
            for factor in sweep['factors']
        ]
        for one in swept:
            del one.request['sweep']
        cells += [*swept, cell('fpn_swin_est', method, sweep=dict(sweep, cells=[one.name for one in swept]))]
    broken = cell('fpn_swin_est', 'lora')
    broken.request['config_text'] += "optim_wrapper['optimizer']['type'] = 'SGD'\n"
    failed = run_together([*cells, broken], tmp_path / 'out', tmp_path / 'work', Console(quiet=True), 2, 2)
    records = {path.stem: json.loads(path.read_text()) for path in (tmp_path / 'out').glob('*.json')}
    assert records.keys() == {one.name for one in (*cells, broken)} and failed == [broken.name]
    assert 'AdamW' in records[broken.name]['error'][-1]
    for one in cells:
        record = records[one.name]
        assert not record['failed'] and one.request.items() <= record.items()
        assert 0 <= record['metrics']['mIoU'] <= 100 and record['task'] == 'segmentation'
        assert len(record['losses']) == 4 and not (tmp_path / 'out' / f'{one.name}.claim').exists()
    chosen = [records[one.name] for one in cells if one.request['kind'] == 'accuracy']
    for record in chosen:
        best = max(record['sweep_scores'].values())
        assert record['sweep_scores'][f'{record["factor"]:g}'] == best
    # Of the rate of the method alone, so a method that trains nothing of its own has equal scores.
    assert len(set(chosen[1]['sweep_scores'].values())) == 1
    assert run_together(cells, tmp_path / 'out', tmp_path / 'work', Console(quiet=True), 1, 1) == []


def test_trainings_wait_for_a_sweep_that_is_not_trained_before_them(cell):
    sweep = [cell('fpn_swin_est', kind='sweep', factor=factor) for factor in (0.5, 2.0)]
    names = [one.name for one in sweep]
    score = cell('fpn_swin_est', sweep=dict(cells=names))
    assert _needed([score]) == set(names) and _needed([sweep[1], score]) == {names[0]}
    assert not _needed([*sweep, score]) and not _needed(sweep)


def test_a_training_that_broke_has_no_score(cell, tmp_path):
    lane, _ = begun(cell('fpn_swin_est'), tmp_path)
    lane.step.losses[1] = float('nan')
    with pytest.raises(RuntimeError, match='The loss became infinite or NaN'):
        lane.end()
    lane.step.losses.zero_()
    name, frozen = next(iter(lane.step.model.backbone.frozen_state()))
    frozen.add_(1)
    with pytest.raises(RuntimeError, match=f'The frozen tensor {name} has changed'):
        lane.end()


def test_batches_are_of_one_way_to_assign_anchors(cell, tmp_path):
    def key(positive: float) -> str:
        cfg, _ = training_config(cell('retinanet_swin_est').request, tmp_path / 'cell', tmp_path)
        cfg.model.train_cfg.assigner.pos_iou_thr = positive
        return key_of(cfg)

    assert key(0.5) == key(0.5) != key(0.6)


def test_a_sweep_has_the_same_batches_at_every_rate(cell, tmp_path):
    sweep = [cell('fpn_swin_est', kind='sweep', held_out=0.2, factor=factor) for factor in (0.5, 2.0)]
    sweep.append(cell('fpn_swin_est', 'full', kind='sweep', held_out=0.2, factor=1.0))
    keys = {make_batches(one, tmp_path / 'records', tmp_path / 'work')[0] for one in sweep}
    assert len(keys) == 1
    for other in (dict(held_out=0.4), dict(held_out=0.2, seed=1)):
        one = cell('fpn_swin_est', kind='sweep', factor=0.5, **other)
        assert make_batches(one, tmp_path / 'records', tmp_path / 'work')[0] not in keys


@pytest.mark.parametrize('name', ['fpn_swin_est', 'retinanet_swin_est'])
@pytest.mark.parametrize('about', [{}, dict(kind='sweep', held_out=0.2, factor=1.0)], ids=['all', 'a part'])
def test_labels_that_were_corrected_are_trained_on(cell, relabel, tmp_path, name, about):
    one = cell(name, **about)
    key, before = make_batches(one, tmp_path / 'records', tmp_path / 'work')
    relabel(name)
    other, after = make_batches(one, tmp_path / 'records', tmp_path / 'work')
    truth = 'masks' if name.startswith('fpn') else 'boxes'
    assert key != other and not torch.equal(before[truth], after[truth])
    data_digest._known.clear()
    assert make_batches(one, tmp_path / 'records', tmp_path / 'work')[0] == other


@pytest.mark.parametrize(
    'padding', [dict(mean=[127.5] * 3), dict(size=(96, 80)), dict(bgr_to_rgb=False), dict(seg_pad_val=0)], ids=str
)
def test_batches_are_shared_where_they_are_padded_alike(cell, tmp_path, padding):
    def config(**about):
        cfg, _ = training_config(cell('fpn_swin_est').request, tmp_path / 'cell', tmp_path)
        init_default_scope('mmseg')
        cfg.model.data_preprocessor.update({'size': (96, 96), **about})  # of images of 64²
        return cfg

    cfg, other = config(), config(**padding)
    assert key_of(config(std=[1.0] * 3)) == key_of(cfg) != key_of(other)
    shared, alone = (batches_of(other, tmp_path / folder) for folder in ('batches', 'alone'))
    first = batches_of(cfg, tmp_path / 'batches')
    for name in ('images', 'masks'):
        assert torch.equal(shared[name], alone[name])
    assert any(first[n].shape != shared[n].shape or not torch.equal(first[n], shared[n]) for n in ('images', 'masks'))


def test_a_model_whose_training_could_not_begin_is_not_used_again(cell, tmp_path, monkeypatch):
    first, second = (cell('fpn_swin_est', factor=factor, kind='sweep', held_out=0.2) for factor in (0.5, 2.0))
    starts, start = [], TrainingStep.start

    def broken_once(self, *args):
        starts.append(self)
        if len(starts) == 1:
            raise RuntimeError('operation failed during capture')
        start(self, *args)

    monkeypatch.setattr(TrainingStep, 'start', broken_once)
    train_bundle([[first, second]], tmp_path / 'records', tmp_path / 'work', None)
    records = [json.loads((tmp_path / 'records' / f'{one.name}.json').read_text()) for one in (first, second)]
    assert [record['failed'] for record in records] == [True, False] and starts[0] is not starts[1]


def test_a_cell_that_another_runner_has_taken_over_is_left_to_it(cell, tmp_path, monkeypatch):
    lost, kept = cell('fpn_swin_est'), cell('fpn_swin_est', 'full')
    renew = claims.renew
    monkeypatch.setattr(claims, 'RENEW', -1)
    monkeypatch.setattr(claims, 'renew', lambda record: record.stem != lost.name and renew(record))
    train_bundle([[lost], [kept]], tmp_path / 'records', tmp_path / 'work', None)
    assert [path.stem for path in (tmp_path / 'records').glob('*.json')] == [kept.name]


def test_a_training_whose_rate_its_sweep_chooses_again_is_reported(cell, tmp_path):
    sweep = [cell('fpn_swin_est', kind='sweep', held_out=0.2, factor=factor) for factor in (0.5, 2.0)]
    for one in sweep:
        del one.request['sweep']
    about = dict(factors=[0.5, 2.0], held_out=0.2, cells=[one.name for one in sweep])
    score, out = cell('fpn_swin_est', sweep=about), tmp_path / 'out'
    write_json(out / f'{sweep[0].name}.json', dict(sweep[0].request, failed=False, metrics=dict(mIoU=101.0)))
    write_json(out / f'{sweep[1].name}.json', dict(sweep[1].request, failed=True, error=['killed']))
    found = dict(failed=False, metrics=dict(mIoU=1.0), losses=[], factor=0.5, sweep_scores={'0.5': 101.0, '2': None})
    write_json(out / f'{score.name}.json', dict(score.request, **found))
    console = Console(record=True, quiet=False, width=200, file=io.StringIO())
    assert run_together([*sweep, score], out, tmp_path / 'work', console, 1, 1) == []
    record = json.loads((out / f'{score.name}.json').read_text())
    assert record['metrics'] == dict(mIoU=1.0) and record['sweep_scores']['2'] is not None
    assert f'{score.name}: done' in console.export_text()


def test_seeds_differ_and_equal_ones_do_not(cell, tmp_path):
    cells = [cell('fpn_swin_est', seed=seed, of=i) for i, seed in enumerate((0, 1, 0))]
    cells = [Cell(f'{one.name}_{i}', one.request) for i, one in enumerate(cells)]
    train_bundle([cells], tmp_path / 'out', tmp_path / 'work', None)
    first, second, third = (json.loads((tmp_path / 'out' / f'{one.name}.json').read_text()) for one in cells)
    assert first['losses'] == third['losses'] and first['metrics'] == third['metrics']
    assert first['losses'] != second['losses']


def test_a_longer_training_may_follow_a_shorter_one(cell, tmp_path):
    swept = cell('retinanet_swin_est', kind='sweep', factor=1.0, held_out=0.3)
    cells = [swept, cell('retinanet_swin_est')]
    del swept.request['sweep']
    train_bundle([cells], tmp_path / 'out', tmp_path / 'work', None)
    short, long = (json.loads((tmp_path / 'out' / f'{one.name}.json').read_text()) for one in cells)
    assert not short['failed'] and not long['failed'], (short, long)
    assert len(short['losses']) < len(long['losses']) == 8


@pytest.mark.parametrize('name', ['fpn_swin_est', 'retinanet_swin_est'])
@pytest.mark.parametrize('images', [24, 11, 8, 3, 1])
def test_an_epoch_has_the_steps_of_a_runner(cell, tmp_path, name, images):
    cfg, _ = training_config(cell(name).request, tmp_path / 'cell', tmp_path)
    init_default_scope(cfg.default_scope)
    cfg.train_dataloader.update(
        batch_size=5, drop_last=False, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True)
    )
    cfg.train_dataloader.dataset.indices = images
    cfg.train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=3, val_interval=3)
    # Every image says which one it is; crops of a segmentor are smaller than what they are padded to.
    cfg.train_dataloader.dataset.pipeline = [
        step for step in cfg.train_dataloader.dataset.pipeline if step['type'] not in ('RandomCrop', 'RandomFlip')
    ]
    if name.startswith('fpn'):
        cfg.model.data_preprocessor.size = (96, 96)
    loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    batches = batches_of(cfg, tmp_path / 'batches')
    epoch = -(-images // 5)
    assert int(batches['epoch']) == len(loader) == epoch
    assert len(batches['images']) == 3 * epoch and batches['images'].shape[1] == 5
    for number in range(3):
        loader.sampler.set_epoch(number)
        wanted = torch.stack([image for batch in loader for image in batch['inputs']])
        found = batches['images'][number * epoch : (number + 1) * epoch].flatten(0, 1)[..., :64, :64]
        assert torch.equal(found[:images], wanted)
        assert torch.equal(found[images:], wanted[:5].repeat(5, 1, 1, 1)[: len(found) - images])


def test_what_cannot_be_trained_side_by_side_is_told(cell, tmp_path):
    cfg, _ = training_config(cell('fpn_swin_est').request, tmp_path / 'cell', tmp_path)
    cfg.param_scheduler = [dict(type='MultiStepLR', milestones=[1])]
    with pytest.raises(ValueError, match='MultiStepLR does by epochs'):
        schedule_of(cfg, 4, 2)
    cfg.param_scheduler = [dict(type='OneCycleLR', eta_max=0.1, total_steps=4, by_epoch=False)]
    with pytest.raises(ValueError, match='sets them by itself'):
        schedule_of(cfg, 4, 2)
    init_default_scope('mmseg')
    cfg.train_dataloader.dataset.pipeline = [
        step for step in cfg.train_dataloader.dataset.pipeline if step['type'] != 'RandomCrop'
    ]
    cfg.train_dataloader.dataset.pipeline.insert(
        -1, dict(type='RandomResize', scale=(64, 64), ratio_range=(1.0, 2.0), keep_ratio=True)
    )
    with pytest.raises(ValueError, match='need images of one size'):
        batches_of(cfg, tmp_path / 'batches')
    assert not list(tmp_path.glob('batches/*.pt'))


@pytest.mark.parametrize(
    'changes, said',
    [
        (
            dict(custom_hooks=[dict(type='EMAHook'), dict(type='ESTHook')]),
            'ESTHook alone in custom_hooks, .* has EMAHook',
        ),
        (dict(optim_wrapper=dict(type='AmpOptimWrapper')), 'OptimWrapper alone in .* has AmpOptimWrapper'),
        (dict(optim_wrapper=dict(accumulative_counts=2)), '1 alone in .*accumulative_counts, .* has 2'),
        (dict(optim_wrapper=dict(clip_grad=dict(type='value', clip_value=1.0))), 'norm alone in .* has value'),
    ],
    ids=['hook', 'precision', 'sums', 'clips'],
)
def test_what_a_runner_alone_does_is_refused(cell, changes, said):
    cfg = Config.fromstring(cell('fpn_swin_est').request['config_text'], '.py')
    refuse_what_a_runner_would_do(cfg)
    cfg.merge_from_dict(changes)
    with pytest.raises(ValueError, match=said):
        refuse_what_a_runner_would_do(cfg)


@pytest.mark.parametrize('swap', [False, True])
def test_smaller_images_are_padded_as_the_data_preprocessor_pads_them(swap):
    from mmseg.models import SegDataPreProcessor
    from mmseg.structures import SegDataSample

    settings = dict(mean=[104.2, 117.0, 122.7], std=[2.0, 3.0, 4.0], bgr_to_rgb=swap, size=(8, 8), seg_pad_val=255)

    def batch():
        random = torch.Generator().manual_seed(1)
        images = [torch.randint(0, 256, (3, *size), generator=random, dtype=torch.uint8) for size in ((8, 8), (5, 7))]
        masks = [torch.randint(0, 4, (1, *image.shape[1:]), generator=random) for image in images]
        return dict(inputs=images, data_samples=[SegDataSample(gt_sem_seg=PixelData(data=mask)) for mask in masks])

    images, samples = _of_one_size(batch(), settings)
    assert images.dtype == torch.uint8 and images.shape == (2, 3, 8, 8)
    wanted = SegDataPreProcessor(**settings)(batch(), training=True)
    mean, std = (torch.tensor(settings[key])[:, None, None] for key in ('mean', 'std'))
    found = ((images.flip(1) if swap else images) - mean) / std
    torch.testing.assert_close(found, wanted['inputs'], rtol=0, atol=0.5 / 2)
    for one, other in zip(samples, wanted['data_samples']):
        assert torch.equal(one.gt_sem_seg.data, other.gt_sem_seg.data)
