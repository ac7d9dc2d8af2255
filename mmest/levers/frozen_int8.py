"""Frozen weights in 8 bits."""

from mmengine.config import Config

from mmest.levers.base import Lever
from mmest.levers.frozen_bf16 import FrozenBF16


class FrozenInt8(Lever):
    """``frozen_dtype='int8'`` of the TunedBackbone."""

    name = 'frozen_int8'
    does = 'keep frozen weights in 8 bits'
    order = 11
    exact = False
    safe = False

    def unsuited(self, cfg: Config) -> str | None:
        if cfg.model.backbone.get('compile'):
            return 'its backbone is compiled'
        return FrozenBF16().unsuited(cfg)

    def is_on(self, cfg: Config) -> bool:
        return cfg.model.backbone.get('frozen_dtype') == 'int8'

    def configure(self, cfg: Config) -> None:
        cfg.model.backbone.frozen_dtype = 'int8'
