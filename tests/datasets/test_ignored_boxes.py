"""Ignored objects are neither learned nor unlearned."""

import copy

import pytest
import torch

pytest.importorskip('mmdet')

from mmdet.registry import TASK_UTILS
from mmdet.structures.bbox import HorizontalBoxes
from mmengine.registry import MODELS, init_default_scope
from mmengine.structures import InstanceData

from mmest.configs import open_config
from mmest.datasets.ignored_boxes import knows_ignored_boxes, pass_over_ignored_boxes
from mmest.frameworks import framework_of_model, predicts_oriented
from mmest.measure.synthetic_batch import synthetic_batch

SWIN = {'embed_dims': 16, 'depths': [1, 1, 1, 1], 'num_heads': [1, 1, 2, 2]}


def model_of(name):
    cfg = open_config(f'mmest::detection/{name}')
    init_default_scope('mmdet')
    cfg.model.backbone.backbone.update(SWIN, init_cfg=None)
    cfg.model.neck.in_channels = [16, 32, 64, 128][-len(cfg.model.neck.in_channels) :]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return cfg, MODELS.build(cfg.model).train()


def losses(model, ignored):
    batch = synthetic_batch(model, (128, 128), 1)
    for sample in batch['data_samples']:
        kind = 'rbox' if predicts_oriented(model) else 'hbox'
        for name, boxes in (('gt_instances', [[4.0, 4.0, 40.0, 40.0]]), ('ignored_instances', ignored)):
            boxes = HorizontalBoxes(torch.tensor(boxes).reshape(-1, 4)).convert_to(kind)
            labels = torch.zeros(len(boxes), dtype=torch.long)
            setattr(sample, name, InstanceData(bboxes=boxes, labels=labels))
    torch.manual_seed(1)  # of samplers
    data = model.data_preprocessor(batch, training=True)
    return {
        name: float(sum(value) if isinstance(value, list) else value)
        for name, value in model.loss(data['inputs'], data['data_samples']).items()
        if 'loss' in name
    }


@pytest.mark.parametrize(
    'name, assigners', [('custom/retinanet', 1), ('custom/faster-rcnn', 2), ('custom/cascade-rcnn', 4)]
)
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


def test_oriented_objects_are_ignored_too():
    pytest.importorskip('mmrotate')
    _, model = model_of('dota/oriented-rcnn')
    plain = losses(model, [])
    pass_over_ignored_boxes(model)
    assert losses(model, []) == plain and losses(model, [[64.0, 0.0, 128.0, 128.0]]) != plain


REGIONS = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.5, min_pos_iou=0.5, match_low_quality=False)
FIRST_STAGE = dict(type='MaxIoUAssigner', pos_iou_thr=0.7, neg_iou_thr=0.3, min_pos_iou=0.3)
ONE_STAGE = dict(type='MaxIoUAssigner', pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0)
APPROXIMATE = dict(FIRST_STAGE, type='ApproxMaxIoUAssigner')
NEAREST = dict(type='ATSSAssigner', topk=3)
FIELD = [0.0, 0.0, 200.0, 200.0]
CAR = [100.0, 100.0, 140.0, 140.0]
ANCHORS = [CAR, [120.0, 100.0, 160.0, 140.0], [10.0, 10.0, 50.0, 50.0], [300.0, 300.0, 340.0, 340.0]]


def assigned(assigner, objects, ignored, anchors):
    """The object of each anchor, as the model has its assigner give them: from 1 on, 0 background, -1 none of it."""
    model = torch.nn.Module()
    model.assigner = TASK_UTILS.build(dict(assigner, _scope_='mmdet'))
    for _ in range(2):  # nothing is done twice
        pass_over_ignored_boxes(model)
    priors = torch.tensor(anchors)
    seen = InstanceData(priors=priors)
    if assigner is APPROXIMATE:
        seen.approxs = priors[:, None].repeat(1, 3, 1)
    levels = [[len(anchors)]] if assigner is NEAREST else []
    truth = InstanceData(bboxes=torch.tensor(objects).reshape(-1, 4), labels=torch.zeros(len(objects)).long())
    left_out = InstanceData(bboxes=torch.tensor(ignored).reshape(-1, 4))
    return copy.deepcopy(model).assigner.assign(seen, *levels, truth, left_out).gt_inds.tolist()


@pytest.mark.parametrize('assigner', [REGIONS, FIRST_STAGE, ONE_STAGE, APPROXIMATE, NEAREST])
def test_an_object_inside_an_ignored_one_is_learned(assigner):
    alone = assigned(assigner, [CAR], [], ANCHORS)
    assert alone[0] == 1 and alone[2:] == [0, 0]
    beside = -1 if alone[1] == 0 else alone[1]  # of some assigners neither object nor background as it is
    assert assigned(assigner, [CAR], [FIELD], ANCHORS) == [1, beside, -1, 0]
    assert assigned(assigner, [], [FIELD], ANCHORS) == [-1, -1, -1, 0], 'where all objects are ignored'
    assert assigned(assigner, [], [FIELD], ANCHORS[:3]) == [0, 0, 0], 'something has to be learned'


def test_the_best_anchor_of_an_object_inside_an_ignored_one_is_its_own():
    """Whatever it covers: it is how the first stage finds small ones."""
    loose = [90.0, 90.0, 170.0, 170.0]
    assert assigned(ONE_STAGE, [CAR], [FIELD], [loose, ANCHORS[2], ANCHORS[3]]) == [1, -1, 0]


def test_a_share_that_a_config_states_is_left_to_mmdet():
    assert assigned(dict(REGIONS, ignore_iof_thr=0.5), [CAR], [FIELD], ANCHORS) == [-1, -1, -1, 0]
