"""Ignored objects are neither learned nor unlearned."""

import pytest
import torch

pytest.importorskip('mmdet')

from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData

from mmest.configs import open_config
from mmest.datasets.ignored_boxes import knows_ignored_boxes, pass_over_ignored_boxes
from mmest.frameworks import framework_of_model
from mmest.measure.synthetic_batch import synthetic_batch

SWIN = {'embed_dims': 16, 'depths': [1, 1, 1, 1], 'num_heads': [1, 1, 2, 2]}


def model_of(name):
    cfg = open_config(f'mmest::detection/custom/{name}')
    init_default_scope('mmdet')
    cfg.model.backbone.backbone.update(SWIN, init_cfg=None)
    cfg.model.neck.in_channels = [16, 32, 64, 128][-len(cfg.model.neck.in_channels) :]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cfg, MODELS.build(cfg.model).train()


def losses(model, ignored):
    batch = synthetic_batch(model, (128, 128), 1)
    for sample in batch['data_samples']:
        sample.gt_instances = InstanceData(bboxes=torch.tensor([[4.0, 4.0, 40.0, 40.0]]), labels=torch.tensor([0]))
        sample.ignored_instances = InstanceData(
            bboxes=torch.tensor(ignored).reshape(-1, 4), labels=torch.zeros(len(ignored), dtype=torch.long)
        )
    torch.manual_seed(1)  # of samplers
    data = model.data_preprocessor(batch, training=True)
    return {
        name: float(sum(value) if isinstance(value, list) else value)
        for name, value in model.loss(data['inputs'], data['data_samples']).items()
        if 'loss' in name
    }


@pytest.mark.parametrize('name, assigners', [('retinanet', 1), ('faster-rcnn', 2), ('cascade-rcnn', 4)])
def test_what_lies_in_ignored_objects_is_not_learned(name, assigners):
    cfg, model = model_of(name)
    assert framework_of_model(model).detects and knows_ignored_boxes(cfg.model)
    ground = [[64.0, 0.0, 128.0, 128.0]]
    plain = losses(model, [])
    assert losses(model, ground) == plain, 'mmdet learns them as background'
    pass_over_ignored_boxes(model)
    found = [
        assigner
        for module in model.modules()
        for value in vars(module).values()
        for assigner in (value if isinstance(value, list) else [value])
        if hasattr(assigner, 'ignore_iof_thr')
    ]
    assert len(found) == assigners
    for assigner in found:
        truth = InstanceData(bboxes=torch.tensor([[4.0, 4.0, 40.0, 40.0]]), labels=torch.tensor([0]))
        priors = InstanceData(
            priors=torch.tensor([[70.0, 10.0, 120.0, 60.0], *truth.bboxes.tolist(), [0.0, 60.0, 30.0, 90.0]])
        )
        result = assigner.assign(priors, truth, InstanceData(bboxes=torch.tensor(ground)))
        assert result.gt_inds.tolist() == [-1, 1, 0]
    assert losses(model, []) == plain, 'without ignored objects nothing changes'
    assert losses(model, ground) != plain
