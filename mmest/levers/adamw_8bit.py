"""AdamW's states in 8 bits."""

from mmengine.config import Config
from mmengine.registry import OPTIMIZERS

from mmest.levers.base import Lever

_KIND = 'AdamW8bit'


class AdamW8Bit(Lever):
    """The AdamW of bitsandbytes (Dettmers et al., ICLR 2022): the two states of a weight take two bytes, not eight."""

    name = 'adamw_8bit'
    does = "keep AdamW's states in 8 bits, by bitsandbytes"
    order = 60
    exact = False
    safe = False

    def unsuited(self, cfg: Config) -> str | None:
        kind = ((cfg.get('optim_wrapper') or {}).get('optimizer') or {}).get('type')
        if kind not in ('AdamW', _KIND):
            return f'its optimizer is {kind or "not said"}, not AdamW'
        # mmengine registers what bitsandbytes has.
        return None if OPTIMIZERS.get(_KIND) else 'bitsandbytes is not there: pip install bitsandbytes'

    def configure(self, cfg: Config) -> None:
        cfg.optim_wrapper.optimizer.type = _KIND
