"""Blocks of a backbone that trains, run again in the backward pass."""

import inspect

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from mmest.levers.base import Lever
from mmest.registry import TUNINGS


class BlocksRecomputed(Lever):
    """``with_cp=True`` of the backbone, or ``recompute_all=True`` of a method that runs blocks again by itself."""

    name = 'blocks_recomputed'
    does = 'run the blocks of a backbone that trains again in backward'
    order = 5

    def unsuited(self, cfg: Config) -> str | None:
        backbone = cfg.model.backbone
        method = TUNINGS.get(backbone.tuning.type)
        if not method.trains_inside():
            return f'nothing runs backward through the blocks under {method.__name__}'
        if method.recomputes_blocks:
            return None
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
            kind = MODELS.get(backbone.backbone.type)
        if kind is not None and 'with_cp' not in inspect.signature(kind).parameters:
            return f'{kind.__name__} has no with_cp'
        return None

    def configure(self, cfg: Config) -> None:
        if TUNINGS.get(cfg.model.backbone.tuning.type).recomputes_blocks:
            cfg.model.backbone.tuning.recompute_all = True
        else:
            cfg.model.backbone.backbone.with_cp = True
