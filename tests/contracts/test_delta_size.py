"""The size of a delta checkpoint beside that of full fine-tuning, optimizer states included, on a real detector."""

import pytest
import torch
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner import Runner

from mmest.checkpoints.delta import DELTA_KEY
from mmest.configs import open_config
from mmest.datasets.synthetic import OBJECT_CLASSES, write_dataset

pytest.importorskip('mmdet')
CONFIG = 'mmest::detection/custom/faster-rcnn_swin-b'


@pytest.fixture
def small_values(monkeypatch):
    """Every weight starts at 0.01: random numbers for a Swin-B would take most of the time."""
    for name in ('uniform_', 'normal_', 'kaiming_uniform_', 'trunc_normal_', 'xavier_uniform_'):
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *args, **kwargs: tensor.data.fill_(0.01))


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    out = tmp_path_factory.mktemp('scenes') / 'data'
    write_dataset(out, dict(target=dict(train=2)), size=64, workers=1)
    return out / 'target'


def train(data, folder) -> tuple:
    """One step of EST on two small images; the model and the path of its checkpoint."""
    cfg = open_config(CONFIG, 'est')
    cfg.model.backbone.backbone.init_cfg.checkpoint = str(folder / 'pretrained.pth')
    loader = cfg.train_dataloader
    loader.dataset.update(
        data_root=str(data),
        ann_file='annotations/train.json',
        data_prefix=dict(img='images/train'),
        metainfo=dict(classes=tuple(OBJECT_CLASSES)),
    )
    loader.dataset.pipeline[2].scale = (64, 64)
    loader.num_workers = 0
    runner = Runner(
        cfg.model,
        str(folder),
        loader,
        optim_wrapper=cfg.optim_wrapper,
        train_cfg=dict(by_epoch=True, max_epochs=1),
        custom_hooks=cfg.custom_hooks,
        default_scope='mmdet',
        experiment_name='est',
        log_level='WARNING',
    )
    runner.train()
    return runner.model, folder / 'epoch_1.pth'


def test_is_at_most_a_quarter_and_holds_all_that_trained(data, tmp_path, small_values):
    init_default_scope('mmdet')
    backbone = MODELS.build({**open_config(CONFIG).model.backbone.backbone, 'init_cfg': None})
    torch.save({f'backbone.{key}': value for key, value in backbone.state_dict().items()}, tmp_path / 'pretrained.pth')
    model, path = train(data, tmp_path)
    of_full = [p for name, p in model.named_parameters() if not name.startswith('backbone.method.')]
    full = sum(3 * p.numel() * p.element_size() for p in of_full)  # AdamW keeps two values for each
    assert path.stat().st_size <= 0.25 * full
    file = torch.load(path, weights_only=True, mmap=True)
    frozen = {f'backbone.backbone.{name}' for name, _ in model.backbone.frozen_state()}
    assert set(file['state_dict']) == set(model.state_dict()) - frozen | {f'backbone.{DELTA_KEY}'}
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trained <= set(file['state_dict'])
    assert len(file['optimizer']['state']) == len(trained)
    for left in tmp_path.rglob('*.pth'):
        left.unlink()
