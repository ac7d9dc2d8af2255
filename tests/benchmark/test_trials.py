"""Trials train on what the frozen backbone was seen to return, and score as an evaluation does."""

import copy
import itertools

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseDataPreprocessor
from mmengine.optim import OptimWrapper
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from toy import BACKBONES, image

from mmest.backbones import TunedBackbone
from mmest.benchmark import data_digest
from mmest.benchmark.config_text import config_of_cell
from mmest.benchmark.grid import read_grid
from mmest.benchmark.trials import cache, trial
from mmest.benchmark.trials.plain import from_plain, to_plain
from mmest.benchmark.trials.replay import Recorder, Replay
from mmest.benchmark.trials.views import training_views
from mmest.engine import reader


@pytest.fixture
def requests(config, tmp_path):
    def read(name: str, **entry) -> dict:
        grid = tmp_path / 'grid.py'
        entry = dict(dict(configs=[str(config(name))], steps=3, batch_size=2, views=1), **entry)
        grid.write_text(f'trial = [dict(**{entry!r})]')
        return {cell.name.split('_')[-3]: cell.request for cell in read_grid(str(grid))}

    return read


@pytest.mark.parametrize('name, metric', [('fpn_swin_est', 'mIoU'), ('retinanet_swin_est', 'coco/bbox_mAP')])
def test_what_is_played_back_trains_as_the_backbone_itself(requests, tmp_path, monkeypatch, name, metric):
    monkeypatch.setattr(trial, '_EVERY', 1)
    asked = requests(name, tunings=['est', 'frozen'], factor_of='method')
    found = trial.run_trial(asked['est'], tmp_path / 'one')
    assert not found['backbone_ran'] and metric in found['metrics']
    assert found['images']['val'] and sum(found['images'].values()) == 24, 'training images alone'
    monkeypatch.setattr(trial, 'plays_back', lambda tuned: False)
    real = trial.run_trial(asked['est'], tmp_path / 'two')
    assert real['backbone_ran']
    for (step, kept), (_, ran) in zip(found['losses'], real['losses']):
        assert kept == pytest.approx(ran, rel=5e-3), step  # kept in 16 bits
    assert len(list((tmp_path / 'trial_views').iterdir())) == 1, 'computed once'


def test_a_method_inside_the_backbone_runs_it(requests, tmp_path):
    found = trial.run_trial(requests('fpn_swin_est', tunings=['lora'])['lora'], tmp_path / 'one')
    assert found['backbone_ran'] and found['metrics']['mIoU'] >= 0


def test_bottlenecks_are_kept_where_they_are_narrow_too():
    tuned = TunedBackbone(dict(BACKBONES['resnet']), dict(type='EST')).eval()
    for layer in tuned.method.expand:
        torch.nn.init.normal_(layer.weight)
    wanted, replay = tuned(image()), Replay(copy.deepcopy(tuned))
    recorder = Recorder.watch(tuned)
    for one in image():
        tuned(one[None])
    replay.give([recorder.calls])
    for a, b in zip(replay(image()), wanted, strict=True):
        torch.testing.assert_close(a, b, atol=1e-2, rtol=1e-2)  # kept in 16 bits


def test_a_tap_that_is_not_kept_gets_a_sentence():
    tuned = TunedBackbone(dict(BACKBONES['swin'], out_indices=(2, 3)), dict(type='EST', taps='block'))
    replay = Replay(copy.deepcopy(tuned))
    recorder = Recorder.watch(tuned)
    tuned(image())
    replay.give([recorder.calls])
    with pytest.raises(ValueError, match="EST reads block 0. Use another value of taps than 'block'"):
        replay(image())


@pytest.mark.parametrize('name', ['fpn_swin_est', 'retinanet_swin_est'])
def test_samples_come_back_from_plain_types(requests, tmp_path, name):
    cfg = config_of_cell(requests(name, tunings=['est'])['est'])
    init_default_scope(cfg.default_scope)
    sample = next(training_views(cfg, 1)[0])['data_samples']
    torch.save(to_plain(sample), tmp_path / 'sample.pth')
    back = from_plain(torch.load(tmp_path / 'sample.pth', weights_only=True))
    assert type(back) is type(sample) and back.metainfo == to_plain(sample.metainfo)
    if name.startswith('fpn'):
        assert torch.equal(back.gt_sem_seg.data, sample.gt_sem_seg.data)
    else:
        boxes = sample.gt_instances.bboxes
        assert torch.equal(back.gt_instances.bboxes, getattr(boxes, 'tensor', boxes))
        assert torch.equal(back.gt_instances.labels, sample.gt_instances.labels)


def test_a_view_depends_on_its_number_alone(requests):
    cfg = config_of_cell(requests('fpn_swin_est', tunings=['est'])['est'])
    init_default_scope(cfg.default_scope)
    one, two = (list(training_views(cfg, 2)[0]) for _ in range(2))
    assert all(torch.equal(a['inputs'], b['inputs']) for a, b in zip(one, two))
    assert not all(torch.equal(a['inputs'], b['inputs']) for a, b in zip(one, one[len(one) // 2 :]))


def test_another_backbone_has_another_file(requests):
    a = config_of_cell(requests('fpn_swin_est', tunings=['est'])['est'])
    b = config_of_cell(requests('fpn_swin_est', tunings=['frozen'])['frozen'])
    assert cache.digest(a, 1) == cache.digest(b, 1) != cache.digest(a, 2)
    b.model.backbone.backbone.depths = [2, 1, 1, 1]
    assert cache.digest(a, 1) != cache.digest(b, 1)


@pytest.mark.parametrize('option', [dict(image_bands=(3, 2, 1)), dict(image_scale=(0, 3000))])
def test_views_are_read_as_the_config_says(requests, monkeypatch, option):
    cfg = config_of_cell(requests('fpn_swin_est', tunings=['est'])['est'])
    before = cache.digest(cfg, 1)
    cfg.merge_from_dict(option)
    assert cache.digest(cfg, 1) != before
    asked = []
    monkeypatch.setattr(reader, 'use_reader', lambda part, segments, **reading: asked.append(reading))
    init_default_scope(cfg.default_scope)
    training_views(cfg, 1)
    assert asked == [dict(dict(scale=None, bands=None), **{name[6:]: value for name, value in option.items()})]


@pytest.mark.parametrize('name', ['fpn_swin_est', 'retinanet_swin_est'])
def test_corrected_labels_have_another_file(requests, relabel, name):
    cfg = config_of_cell(requests(name, tunings=['est'])['est'])
    before = cache.digest(cfg, 1)
    data_digest._known.clear()
    assert cache.digest(cfg, 1) == before
    relabel(name)
    assert cache.digest(cfg, 1) != before


class Weight(torch.nn.Module):
    """A number whose rate at each step is kept."""

    def __init__(self):
        super().__init__()
        self.data_preprocessor, self.value = BaseDataPreprocessor(), torch.nn.Parameter(torch.ones(1))
        self.rates, self.optimizer = [], torch.optim.SGD([self.value], lr=2.0)

    def forward(self, inputs, data_samples, mode):
        self.rates.append(self.optimizer.param_groups[0]['lr'])
        return dict(loss=self.value * inputs[0].sum())

    def parse_losses(self, losses):
        return losses['loss'].sum(), {}


def test_the_rate_of_a_trial_rises_straight_and_falls_by_a_cosine(monkeypatch):
    model = Weight()
    monkeypatch.setattr(trial, 'build_optim_wrapper', lambda *_: OptimWrapper(model.optimizer))
    samples = [dict(inputs=torch.ones(1), data_samples=SegDataSample())] * 4
    request = dict(steps=40, batch_size=2, seed=0, label_stride=1)
    kept = trial._train(model, Config(dict(optim_wrapper={})), dict(samples=samples), request, False)
    assert [step for step, _ in kept] == [20, 40]
    wanted = [0.5, 1.0, 1.5, 2.0] + [1 + np.cos(np.pi * step / 36) for step in range(36)]
    np.testing.assert_allclose(model.rates, wanted)


def test_a_trial_sees_each_view_once_before_any_again():
    orders = []
    for seed in (0, 1, 1):
        batches = list(itertools.islice(trial._batches(7, 3, seed), 6))
        assert [len(batch) for batch in batches] == [3] * 6
        orders.append([sum(batches[at : at + 2], []) for at in (0, 2, 4)])
        assert all(len(set(order)) == 6 for order in orders[-1])
    assert orders[0] != orders[1] == orders[2] and orders[0][0] != orders[0][1] != sorted(orders[0][1])


@pytest.mark.parametrize('stride, first', [(1, 0), (2, 1), (4, 2)])
def test_masks_are_thinned_to_rows_and_columns_from_the_middle(stride, first):
    mask = torch.arange(8 * 12).view(1, 8, 12)
    sample = SegDataSample(gt_sem_seg=PixelData(data=mask))
    trial._thin_labels([sample], stride)
    rows, columns = range(first, 8, stride), range(first, 12, stride)
    assert sample.gt_sem_seg.data.tolist() == [[[12 * row + column for column in columns] for row in rows]]
