"""Blocks of a backbone that trains, run again in the backward pass."""

import inspect

from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmest.anatomy.lists import find_block_names
from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.levers.base import Lever
from mmest.levers.recomputing import gathering, recompute
from mmest.registry import TUNINGS


class BlocksRecomputed(Lever):
    """``with_cp=True`` of the backbone, or ``recompute_all=True`` of a method that runs blocks again by itself.

    Batch norms that gather statistics would take a batch in twice by ``with_cp``; a backbone of such has its blocks run
    again in another way, by which they take it in once.
    """

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

    def put_on(self, model: nn.Module) -> list[str]:
        for _, tuned in tuned_backbones(model):
            by_cp = [module for module in tuned.backbone.modules() if getattr(module, 'with_cp', False)]
            blocks = [tuned.backbone.get_submodule(name) for name in find_block_names(tuned.backbone)]
            if by_cp and any(gathering(block) for block in blocks):
                for module in by_cp:
                    module.with_cp = False
                for block in blocks:
                    recompute(block)
        return []
