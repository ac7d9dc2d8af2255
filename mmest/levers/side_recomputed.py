"""A side network's blocks, run again in the backward pass."""

import inspect

from mmengine.config import Config

from mmest.levers.base import Lever
from mmest.registry import TUNINGS


class SideRecomputed(Lever):
    """``recompute=True`` of a method that has it."""

    name = 'side_recomputed'
    does = 'run the blocks of the side network again in backward'
    order = 20

    def unsuited(self, cfg: Config) -> str | None:
        method = TUNINGS.get(cfg.model.backbone.tuning.type)
        takes = inspect.signature(method).parameters
        return None if 'recompute' in takes else f'{method.__name__} has nothing to run again'

    def configure(self, cfg: Config) -> None:
        cfg.model.backbone.tuning.recompute = True
