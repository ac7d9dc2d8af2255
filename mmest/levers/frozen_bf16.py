"""Frozen weights in bfloat16."""

from mmengine.config import Config

from mmest.levers.base import Lever
from mmest.registry import TUNINGS


class FrozenBF16(Lever):
    """``frozen_dtype='bf16'`` of the TunedBackbone."""

    name = 'frozen_bf16'
    does = 'keep frozen weights in bfloat16'
    order = 10
    exact = False
    outdone_by = 'frozen_int8'

    def unsuited(self, cfg: Config) -> str | None:
        method = TUNINGS.get(cfg.model.backbone.tuning.type)
        if method.trains_inside():
            return f'{method.__name__} trains inside the backbone'
        return f'{method.__name__} runs layers of the frozen backbone again' if method.reruns_backbone else None

    def is_on(self, cfg: Config) -> bool:
        return cfg.model.backbone.get('frozen_dtype') == 'bf16'

    def configure(self, cfg: Config) -> None:
        cfg.model.backbone.frozen_dtype = 'bf16'
