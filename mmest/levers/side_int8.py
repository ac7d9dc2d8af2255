"""What EST keeps for backward, in 8 bits."""

from mmengine.config import Config

from mmest.levers.base import Lever
from mmest.registry import TUNINGS


class SideInt8(Lever):
    """``saved_dtype='int8'`` of the TunedBackbone."""

    name = 'side_int8'
    does = 'keep what EST needs for backward in 8 bits'
    order = 16
    exact = False

    def unsuited(self, cfg: Config) -> str | None:
        method = TUNINGS.get(cfg.model.backbone.tuning.type)
        if method.beside and method.keeps_in_8_bits:
            return None
        return f'what {method.__name__} keeps for backward, if anything, does not stand 8 bits; side_bf16 may do'

    def is_on(self, cfg: Config) -> bool:
        return cfg.model.backbone.get('saved_dtype') == 'int8'

    def configure(self, cfg: Config) -> None:
        cfg.model.backbone.saved_dtype = 'int8'
