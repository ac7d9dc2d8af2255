"""What a side network keeps for backward, in bfloat16."""

from mmengine.config import Config

from mmest.levers.base import Lever
from mmest.registry import TUNINGS


class SideBF16(Lever):
    """``saved_dtype='bf16'`` of the TunedBackbone."""

    name = 'side_bf16'
    does = 'keep what the side network needs for backward in bfloat16'
    order = 15
    exact = False
    outdone_by = 'side_int8'

    def unsuited(self, cfg: Config) -> str | None:
        method = TUNINGS.get(cfg.model.backbone.tuning.type)
        return None if method.beside else f'{method.__name__} is no network beside the backbone'

    def is_on(self, cfg: Config) -> bool:
        return cfg.model.backbone.get('saved_dtype') == 'bf16'

    def configure(self, cfg: Config) -> None:
        cfg.model.backbone.saved_dtype = 'bf16'
