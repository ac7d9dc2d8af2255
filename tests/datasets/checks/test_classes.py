"""Names of classes, the heads that tell them apart, and weights of classes."""

import pytest
import torch
from mmengine.config import Config

from mmest.datasets.checks import check_classes


def config(model, classes=('ship', 'plane'), val=None, kind='CocoDataset', scope='mmdet') -> Config:
    def loader(names):
        return dict(dataset=dict(type=kind, metainfo=dict(classes=names)))

    return Config(
        dict(
            default_scope=scope,
            model=model,
            train_dataloader=loader(classes),
            val_dataloader=loader(classes if val is None else val),
        )
    )


HEADS = [
    lambda number: dict(bbox_head=dict(num_classes=number)),
    lambda number: dict(rpn_head=dict(num_classes=1), roi_head=dict(bbox_head=dict(num_classes=number))),
    lambda number: dict(roi_head=dict(bbox_head=[dict(num_classes=2), dict(num_classes=number)])),
    lambda number: dict(roi_head=dict(bbox_head=dict(num_classes=2), mask_head=dict(num_classes=number))),
    lambda number: dict(panoptic_head=dict(num_things_classes=number, num_stuff_classes=0)),
    lambda number: dict(decode_head=dict(num_classes=2), auxiliary_head=[dict(num_classes=number)]),
]


@pytest.mark.parametrize('model', HEADS)
def test_every_head_has_the_classes_of_the_data(model):
    check_classes(config(model(2)))
    for number in (1, 3, 80):
        with pytest.raises(ValueError, match=rf'The head has {number} classes \(model\..* has 2: ship, plane'):
            check_classes(config(model(number)))


def test_a_backbone_may_have_classes_of_its_own():
    check_classes(config(dict(backbone=dict(backbone=dict(num_classes=1000)), bbox_head=dict(num_classes=2))))


def test_splits_have_the_same_classes_in_the_same_order():
    for other in (('plane', 'ship'), ('ship',), ('ship', 'car')):
        with pytest.raises(ValueError, match='train_dataloader.* has the classes ship, plane, but val_'):
            check_classes(config(dict(bbox_head=dict(num_classes=2)), val=other))


def test_a_text_is_no_tuple_of_classes(tmp_path):
    with pytest.raises(ValueError, match=r"classes is the text 'ship'.*Write classes = \('ship',\)"):
        check_classes(config(dict(bbox_head=dict(num_classes=4)), 'ship'))
    (tmp_path / 'classes.txt').write_text('ship\nplane\n')
    check_classes(config(dict(bbox_head=dict(num_classes=2)), str(tmp_path / 'classes.txt')))
    with pytest.raises(ValueError, match='names ship more than once'):
        check_classes(config(dict(bbox_head=dict(num_classes=2)), ('ship', 'ship')))


def test_without_names_those_of_the_data_set_hold():
    cfg = config(dict(bbox_head=dict(num_classes=2)))
    for split in ('train', 'val'):
        del cfg[f'{split}_dataloader'].dataset['metainfo']
    with pytest.raises(ValueError, match='has 80: person, bicycle'):
        check_classes(cfg)


@pytest.mark.parametrize('weights', [[1.0, 3.0, 2.0], 3, [1.0]])
def test_weights_are_one_for_each_class(weights):
    pytest.importorskip('mmseg')
    head = dict(num_classes=2, loss_decode=dict(type='CrossEntropyLoss', class_weight=[1.0, 2.0]))
    cfg = config(dict(decode_head=head), kind='BaseSegDataset', scope='mmseg')
    check_classes(cfg)
    cfg.model.decode_head.loss_decode.class_weight = weights
    with pytest.raises(ValueError, match='decode_head.loss_decode.class_weight should be 2 numbers'):
        check_classes(cfg)


@pytest.mark.parametrize('non_ignored', [False, True])
def test_class_weights_with_ignored_pixels(non_ignored):
    """The weighted mean; weights of one give what no weights give, ignored pixels or not."""
    losses = pytest.importorskip('mmseg.models.losses')
    from mmest.datasets.class_weights import count_ignored_pixels

    score = torch.randn(2, 3, 4, 4)
    label = torch.randint(3, (2, 4, 4))
    label[0, :2] = 255

    def loss(weights):
        module = losses.CrossEntropyLoss(class_weight=weights, avg_non_ignore=non_ignored)
        count_ignored_pixels(module)
        return module(score, label, ignore_index=255)

    assert torch.allclose(loss([1.0, 1.0, 1.0]), loss(None))
    expected = torch.nn.functional.cross_entropy(score, label, torch.tensor([1.0, 2.0, 5.0]), ignore_index=255)
    kept = torch.tensor([1.0, 2.0, 5.0])[label[label != 255]].sum()
    whole = kept if non_ignored else kept + (label == 255).sum()
    assert torch.allclose(loss([1.0, 2.0, 5.0]), expected * kept / whole)
    label[:] = 255
    assert loss([1.0, 2.0, 5.0]) == 0
