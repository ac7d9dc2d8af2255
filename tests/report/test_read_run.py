"""What a report reads of a work folder."""

import json
import os

import pytest
import torch

from mmest.report.page import _score
from mmest.report.run import read_run


@pytest.fixture
def trained(tmp_path):
    """Write what a training leaves: its config, its checkpoint, and its evaluations by step."""

    def write(config, checkpoint, evaluations, time='20260102_030405'):
        (tmp_path / config).write_text('')
        experiment = f'{config.removesuffix(".py")}_{time}'.removeprefix(f'{time}_')
        torch.save(dict(state_dict={}, meta=dict(experiment_name=experiment)), tmp_path / checkpoint)
        lines = [json.dumps({'coco/bbox_mAP': value, 'step': step}) for step, value in evaluations.items()]
        (tmp_path / time / 'vis_data').mkdir(parents=True)
        (tmp_path / time / 'vis_data' / 'scalars.json').write_text('\n'.join(lines))
        return tmp_path

    return write


@pytest.mark.parametrize('config', ['retinanet_lora.py', '20260102_030405.py'])
def test_the_config_is_the_one_that_the_checkpoint_names(trained, config):
    folder = trained(config, 'iter_9.pth', {9: 0.5})
    for other in ('0.py', 'retinanet.py', 'retinanet_est.py'):
        (folder / other).write_text('')
    assert read_run(folder).config == folder / config


@pytest.mark.parametrize('other', ['best_coco_bbox_mAP_iter_200_whole.pth', 'best_model.pth'])
def test_what_was_made_of_the_best_checkpoint_is_not_the_trainings(trained, other):
    """As ``mmest export`` makes; it says no step, so its score would be that of the end."""
    folder = trained('retinanet.py', 'best_coco_bbox_mAP_iter_200.pth', {100: 0.5, 200: 0.9, 300: 0.8})
    torch.save(dict(state_dict={}), folder / other)
    os.utime(folder / 'best_coco_bbox_mAP_iter_200.pth', (1, 1))
    run = read_run(folder)
    assert run.checkpoint.name == 'best_coco_bbox_mAP_iter_200.pth'
    assert run.score_of_checkpoint('coco/bbox_mAP') == 0.9


@pytest.mark.parametrize('end', [b'{"loss": 0.7, "st', b'{"data": "\xc3', b'', b'\n'])
def test_a_training_that_was_killed_while_it_logged(trained, end):
    folder = trained('retinanet.py', 'iter_300.pth', {100: 0.5, 200: 0.9})
    log = folder / '20260102_030405' / 'vis_data' / 'scalars.json'
    log.write_bytes(log.read_bytes() + (b'\n' + end if end.strip() else end))
    run = read_run(folder)
    assert run.scores == {'coco/bbox_mAP': [(100, 0.5), (200, 0.9)]} and run.losses == {}


@pytest.mark.parametrize(
    'checkpoint, score',
    [
        ('best_coco_bbox_mAP_iter_200.pth', 0.9),
        ('iter_300.pth', 0.8),
        ('iter_250.pth', 0.9),  # saved between two evaluations
        ('epoch_50.pth', None),
    ],
)
def test_the_score_is_that_of_the_checkpoint(trained, checkpoint, score):
    run = read_run(trained('retinanet.py', checkpoint, {100: 0.5, 200: 0.9, 300: 0.8}))
    assert run.score_of_checkpoint('coco/bbox_mAP') == score
    assert _score(run, 'coco/bbox_mAP') == ('—' if score is None else f'{100 * score:.1f}')
