"""The file of a data set's views and of what a frozen backbone makes of them."""

import copy
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import MODELS
from torch import nn

from mmest.checkpoints.files import save_tensors
from mmest.configs import set_tuning
from mmest.pictures.reading import reading_of

from ..data_digest import data_digest
from .plain import from_plain, to_plain
from .replay import Recorder
from .views import training_views, validation_views


def cached_views(cfg: Config, views: int, folder: Path) -> dict:
    """Views with what the frozen backbone makes of them, from a file in ``folder`` or, the first time, computed.

    Args:
        cfg: of the trial; its method plays no part.
        views: of each training image.
        folder: of the files.

    Returns:
        ``train`` and ``val``: dicts of ``samples``, each with ``inputs`` and ``data_samples`` as a data set gives them;
        ``calls``, what the backbone made of each sample, call by call; and ``metainfo``.
    """
    path = folder / f'{digest(cfg, views)}.pth'
    if not path.is_file():
        save_tensors(_compute(cfg, views), path)
    content = torch.load(path, weights_only=True, mmap=True)
    for part in content.values():
        for sample in part['samples']:
            sample['data_samples'] = from_plain(sample['data_samples'])
    return content


def digest(cfg: Config, views: int) -> str:
    """Of all that the views and the backbone's outputs depend on."""
    parts = dict(
        views=views,
        backbone=cfg.model.backbone.backbone,
        preprocessor=cfg.model.data_preprocessor,
        test=cfg.model.get('test_cfg'),
        train_data=cfg.train_dataloader.dataset,
        val_data=cfg.val_dataloader.dataset,
        reading=reading_of(cfg),
        content=[data_digest(cfg[f'{part}_dataloader'].dataset, cfg.default_scope) for part in ('train', 'val')],
    )
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]


def _compute(cfg: Config, views: int) -> dict:
    cfg = copy.deepcopy(cfg)
    set_tuning(cfg, 'frozen')
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.eval()
    recorder = Recorder.watch(model.backbone)
    train, metainfo = training_views(cfg, views)
    content = dict(train=dict(_recorded(model, recorder, train, True), metainfo=to_plain(metainfo)))
    val, metainfo = validation_views(cfg)
    content['val'] = dict(_recorded(model, recorder, val, False), metainfo=to_plain(metainfo))
    return content


@torch.no_grad()
def _recorded(model: nn.Module, recorder: Recorder, samples: Iterable[dict], training: bool) -> dict:
    kept, calls = [], []
    for sample in samples:
        recorder.calls = []
        data = model.data_preprocessor(pseudo_collate([sample]), training)
        if training:
            model.backbone(data['inputs'])
        else:  # a segmentor that slides over an image calls the backbone more than once
            model(**data, mode='predict')
        calls.append(recorder.calls)
        kept.append(dict(inputs=sample['inputs'], data_samples=to_plain(sample['data_samples'])))
    return dict(samples=kept, calls=calls)
