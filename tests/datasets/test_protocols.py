"""Loader, ignore rules and metric of each segmentation protocol, against a confusion matrix of our own."""

import io
import zipfile

import cv2
import numpy as np
import official_trees as trees
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, METRICS, init_default_scope

from mmest.configs import configs_root
from mmest.datasets.preparation.command import prepare

pytest.importorskip('mmseg')

# By configuration: the data set, and the class number that each value of its masks stands for; others are ignored.
PROTOCOLS = {
    'potsdam_six-classes': ('potsdam', {value: value - 1 for value in range(1, 7)}),
    'potsdam_five-classes': ('potsdam', {value: value - 1 for value in range(1, 6)}),
    'vaihingen_six-classes': ('vaihingen', {value: value - 1 for value in range(1, 7)}),
    'vaihingen_five-classes': ('vaihingen', {value: value - 1 for value in range(1, 6)}),
    'loveda': ('loveda', {value: value - 1 for value in range(1, 8)}),
    'isaid': ('isaid', {value: value for value in range(16)}),
}


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    """A folder as $MMEST_DATA with the four sets prepared."""
    root = tmp_path_factory.mktemp('data')
    for name in ('potsdam', 'vaihingen', 'loveda', 'isaid'):
        trees.ALL[name](root / 'official' / name)
        prepare(f'mmest.datasets.official.{name}', root / 'official' / name, root / name, 1)
    return root


def config(protocol: str, data, monkeypatch) -> Config:
    monkeypatch.setenv('MMEST_DATA', str(data))
    init_default_scope('mmseg')
    import mmseg.datasets
    import mmseg.evaluation  # noqa: F401

    import mmest.datasets.segmentation  # noqa: F401

    return Config.fromfile(configs_root() / '_base_/datasets' / f'{protocol}_segmentation.py')


@pytest.mark.parametrize('protocol', PROTOCOLS)
def test_score_is_that_of_a_confusion_matrix(protocol, data, monkeypatch):
    folder, classes = PROTOCOLS[protocol]
    cfg = config(protocol, data, monkeypatch)
    count = max(classes.values()) + 1
    dataset = DATASETS.build(cfg.val_dataloader.dataset)
    assert cfg.num_classes == count == len(dataset.metainfo['classes']) == len(dataset.metainfo['palette'])
    metric = METRICS.build(cfg.val_evaluator)
    metric.dataset_meta = dataset.metainfo
    confusion = np.zeros((count, count), np.int64)
    rng = np.random.default_rng(1)
    for item in dataset:
        sample = item['data_samples']
        raw = cv2.imread(sample.seg_map_path, cv2.IMREAD_UNCHANGED)
        # Right in about half of the pixels; everything where nothing should count.
        true = np.vectorize(lambda value: classes.get(value, 255))(raw)
        predicted = np.where((rng.random(raw.shape) < 0.5) & (true != 255), true, rng.integers(count, size=raw.shape))
        counts = true != 255
        np.add.at(confusion, (true[counts], predicted[counts]), 1)
        metric.process(
            {},
            [dict(pred_sem_seg=dict(data=torch.tensor(predicted)[None]), gt_sem_seg=dict(data=sample.gt_sem_seg.data))],
        )
    found = metric.compute_metrics(metric.results)
    right = np.diag(confusion)
    iou = right / (confusion.sum(0) + confusion.sum(1) - right)
    assert found['mIoU'] == pytest.approx(100 * iou.mean(), abs=0.006)
    assert found['aAcc'] == pytest.approx(100 * right.sum() / confusion.sum(), abs=0.006)
    assert confusion.sum() < sum(cv2.imread(str(path), -1).size for path in (data / folder / 'ann_dir/val').iterdir())


def test_the_two_protocols_differ_by_clutter_alone(data, monkeypatch):
    for folder in ('potsdam', 'vaihingen'):
        six, five = (config(f'{folder}_{number}-classes', data, monkeypatch) for number in ('six', 'five'))
        assert 'clutter' in DATASETS.build(six.val_dataloader.dataset).metainfo['classes']
        assert 'clutter' not in DATASETS.build(five.val_dataloader.dataset).metainfo['classes']
        for split in ('train', 'val', 'test'):
            loader = five[f'{split}_dataloader']
            loader.dataset.pop('metainfo')
            assert loader == six[f'{split}_dataloader']


def test_training_sees_the_same_classes(data, monkeypatch):
    for protocol, (_, classes) in PROTOCOLS.items():
        dataset = DATASETS.build(config(protocol, data, monkeypatch).train_dataloader.dataset)
        seen = set(dataset[0]['data_samples'].gt_sem_seg.data.unique().tolist())
        assert seen <= {*classes.values(), 255} and len(seen) > 3


def test_submission_of_loveda_counts_from_0_without_folders(data, monkeypatch, tmp_path):
    cfg = config('loveda', data, monkeypatch)
    dataset = DATASETS.build(cfg.submission_dataloader.dataset)
    metric = METRICS.build(dict(cfg.submission_evaluator, submission=str(tmp_path)))
    metric.dataset_meta = dataset.metainfo
    expected = {}
    for number, item in enumerate(dataset):
        sample = item['data_samples']
        mask = np.random.default_rng(number).integers(7, size=sample.ori_shape)
        expected[sample.img_path.rpartition('/')[2]] = mask
        metric.process(
            {},
            [
                dict(
                    img_path=sample.img_path,
                    reduce_zero_label=sample.reduce_zero_label,
                    pred_sem_seg=dict(data=torch.tensor(mask)[None]),
                )
            ],
        )
    assert metric.compute_metrics(metric.results) == dict(pictures=2)
    from PIL import Image

    with zipfile.ZipFile(tmp_path / 'Results.zip') as archive:
        assert sorted(archive.namelist()) == sorted(expected) == ['4.png', '5.png']
        for name, mask in expected.items():
            assert (np.array(Image.open(io.BytesIO(archive.read(name)))) == mask).all()
