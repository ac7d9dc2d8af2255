"""A detection task and a segmentation task over one backbone in memory, whichever was loaded first."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from mmdet.apis import inference_detector, init_detector
from mmengine.config import Config
from mmengine.runner import Runner
from mmseg.apis import inference_model, init_model
from test_inference_paths import data, write_config  # noqa: F401

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.engine.fleet import Fleet

IMAGE = (np.random.RandomState(0).rand(64, 64, 3) * 255).astype('uint8')
FUNCTIONS = dict(detection=(init_detector, inference_detector), segmentation=(init_model, inference_model))


def result(task, model, image=IMAGE):
    found = FUNCTIONS[task][1](model, image)
    return found.pred_instances.bboxes if task == 'detection' else found.seg_logits.data


@pytest.fixture(scope='module')
def deltas(data, weights, tmp_path_factory):  # noqa: F811
    found = {}
    for task in FUNCTIONS:
        folder = tmp_path_factory.mktemp(task)
        cfg = Config.fromfile(write_config(task, data, weights['swin'], folder))
        cfg.work_dir = cfg.experiment_name = str(folder / 'work')
        cfg.train_cfg.max_iters = 1
        Runner.from_cfg(cfg).train()
        delta = str(folder / 'work' / 'iter_1.pth')
        init, _ = FUNCTIONS[task]
        found[task] = delta, result(task, init(str(folder / f'tiny_{task}.py'), delta, device='cpu'))
    return found


@pytest.mark.parametrize('order', [['detection', 'segmentation'], ['segmentation', 'detection']])
def test_both_infer_by_name_by_switch_and_at_once(deltas, order):
    fleet = Fleet()
    models = {task: fleet.load(task, deltas[task][0]) for task in order}
    frozen = [
        {t.data_ptr() for _, t in tuned.frozen_state()} for m in models.values() for _, tuned in tuned_backbones(m)
    ]
    assert frozen[0] and frozen[0] == frozen[1]
    for task in (*order, *reversed(order)):
        wanted = deltas[task][1]
        assert torch.equal(result(task, fleet[task]), wanted)
        assert torch.equal(result(task, fleet.switch(task)), wanted)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda task: result(task, models[task]), order * 4))
    assert all(torch.equal(a, deltas[task][1]) for a, task in zip(found, order * 4))
