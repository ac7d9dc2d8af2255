"""Where a config names pretrained weights."""

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model.weight_init import PretrainedInit

from mmest.config_parts import parts_of


def names_pretrained(init_cfg: Mapping | Sequence[Mapping] | None) -> Mapping | None:
    """What of an ``init_cfg``, one or several, names pretrained weights; mmdet's configs of PVT leave out its type."""
    for cfg in [init_cfg] if isinstance(init_cfg, Mapping) else init_cfg or ():
        kind = cfg.get('type', 'Pretrained')
        if cfg.get('checkpoint') and (kind is PretrainedInit or str(kind).startswith('Pretrained')):
            return cfg
    return None


def without_pretrained(cfg: Any) -> Any:
    """``cfg`` without the files that weights would come from; it is changed in place."""
    for _, part in parts_of(cfg):
        if 'pretrained' in part:
            part['pretrained'] = None
        init = part.get('init_cfg')
        if isinstance(init, dict) and names_pretrained(init):
            part['init_cfg'] = None
        elif isinstance(init, (list, tuple)):
            part['init_cfg'] = [one for one in init if not names_pretrained(one)]
    return cfg
