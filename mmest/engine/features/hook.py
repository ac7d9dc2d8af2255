"""The hook that puts a feature cache before the frozen backbone of a training."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmest.backbones.tuned_backbone import TunedBackbone, tuned_backbones
from mmest.checkpoints.digests import digests, fingerprint
from mmest.engine.features.cache import FeatureCache, Layout
from mmest.engine.features.store import FeatureStore, NoSpace, gibibytes
from mmest.engine.features.views import use_views
from mmest.engine.processes import bare
from mmest.random_numbers import untouched_random_numbers

#: Of each image, where the config names no other number.
VIEWS = 4
_LOOKED_AT = 16


class FeatureCacheHook(Hook):
    """Epochs after those in which all views were seen do without the backbone.

    Args:
        folder: of all caches; each has one below that is named after what its maps depend on.
        views: of each image, that the data set gives.
    """

    # After ESTHook has proven what is there.
    priority = 'LOW'

    def __init__(self, folder: Path, views: int) -> None:
        self._folder, self._views = folder, views
        self._tuned: TunedBackbone | None = None

    def before_train(self, runner: Runner) -> None:
        tuned = tuned_backbone(runner)
        images = len(runner.train_dataloader.dataset)
        with untouched_random_numbers():
            _refuse_several_sizes(runner)
            x = _first_image(runner)
            with torch.no_grad(), runner.optim_wrapper.optim_context(runner.model):
                layout = Layout(*tuned.read(x))
        about = dict(
            backbone=type(tuned.backbone).__name__,
            config=_untuned(runner.cfg.model.backbone),
            weights=fingerprint(digests(tuned.frozen_state())),
            precision=[type(runner.optim_wrapper).__name__, str(getattr(runner.optim_wrapper, 'cast_dtype', None))],
            preprocessing=_plain(runner.cfg.model.get('data_preprocessor')),
            data=_plain(runner.cfg.train_dataloader.dataset),
            images=images,
            views=self._views,
            input=list(x.shape[1:]),
            **layout.describe(),
        )
        name = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:16]
        slots, slot_bytes = images * self._views, 2 * layout.numbers
        runner.logger.warning(
            f'The feature cache takes {gibibytes(slots * slot_bytes)} in {self._folder / name}: {images} images in '
            f'{self._views} views of {gibibytes(slot_bytes)}.'
        )
        try:
            store = FeatureStore(self._folder / name, about, slots, slot_bytes)
        except NoSpace as error:
            raise NoSpace(
                f'{error} Take another folder, fewer views (--cfg-options feature_cache.views=1), or a method with '
                'fewer taps.'
            ) from error
        if len(store):
            runner.logger.warning(f'Of these it has {len(store)} from before.')
        self._tuned, tuned.cache = tuned, FeatureCache(store, layout, tuple(x.shape[-2:]))

    def after_train(self, runner: Runner) -> None:
        cache, self._tuned.cache = self._tuned.cache, None
        cache.store.close()
        runner.logger.info(f'The backbone ran for {cache.computed} images; {cache.found} came from the feature cache.')


def use_feature_cache(runner: Runner, folder: str | Path | None = None, views: int = VIEWS) -> None:
    """Have a training keep the maps of its frozen backbone; before its loaders are built.

    Args:
        runner: of the training.
        folder: of all caches.
        views: of each image; the pipeline is drawn from so often.

    Raises:
        ValueError: the maps of this training cannot be kept; the message says why.
    """
    if not folder or not isinstance(views, int) or views < 1:
        raise ValueError(
            'feature_cache should be a folder, and a number of views from 1 on, such as '
            f"feature_cache=dict(folder='features', views={VIEWS}); it has folder={folder!r} and views={views!r}."
        )
    tuned_backbone(runner)
    use_views(runner._train_dataloader, views)
    runner.register_hook(FeatureCacheHook(Path(folder), views))


def tuned_backbone(runner: Runner) -> TunedBackbone:
    """The backbone of a runner's model, if its maps can be kept.

    Raises:
        ValueError: they cannot; the message says why.
    """
    found = [tuned for _, tuned in tuned_backbones(bare(runner))]
    if len(found) != 1:
        raise ValueError(f'The feature cache is for models with one TunedBackbone; this one has {len(found)}.')
    method = type(found[0].method).__name__
    if not found[0].is_frozen:
        raise ValueError(
            f'The feature cache keeps what a frozen backbone computes, but {method} trains or acts inside of it. Leave '
            'out --cache-features, or take a method beside the backbone, such as EST, or Frozen.'
        )
    if not found[0].method.reads_taps_alone:
        raise ValueError(
            f'The feature cache keeps outputs of the backbone and of its blocks, but {method} reads more. Leave out '
            '--cache-features, or take another method beside the backbone, such as EST.'
        )
    if getattr(bare(runner).data_preprocessor, 'batch_augments', None):
        raise ValueError(
            'The feature cache keeps images as the pipeline gives them, but model.data_preprocessor.batch_augments '
            'changes them at random. Take it out, or leave out --cache-features.'
        )
    return found[0]


def _refuse_several_sizes(runner: Runner) -> None:
    dataset = runner.train_dataloader.dataset
    some = np.unique(np.linspace(0, len(dataset) - 1, _LOOKED_AT).astype(int)).tolist()
    sizes = sorted({tuple(dataset[i]['inputs'].shape[-2:]) for i in some})
    if len(sizes) > 1:
        (height, width), (other_height, other_width) = sizes[0], sizes[-1]
        raise ValueError(
            f'The feature cache needs training images of one size, but the pipeline gives {height}×{width} and '
            f'{other_height}×{other_width}, and what a batch adds to the smaller changes its maps. Resize without '
            'keep_ratio, crop, or pad to one size in train_dataloader.dataset.pipeline.'
        )


def _first_image(runner: Runner) -> torch.Tensor:
    loader = runner.train_dataloader
    data = bare(runner).data_preprocessor(loader.collate_fn([loader.dataset[0]]), True)
    return data['inputs']


def _untuned(backbone: dict) -> Any:
    """The config of a TunedBackbone without its method and what that keeps, and without the place of the weights, which
    have a digest.
    """
    inner = {key: value for key, value in backbone['backbone'].items() if key != 'init_cfg'}
    outer = {key: value for key, value in backbone.items() if key not in ('tuning', 'saved_dtype')}
    return _plain(outer | dict(backbone=inner))


def _plain(part: Any) -> Any:
    """A part of a config as JSON gives it back."""
    return json.loads(json.dumps(part, default=str))
