"""Frozen weights spread over processes."""

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.utils import digit_version
from torch import nn

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.levers.base import Lever
from mmest.levers.frozen_int8 import FrozenInt8

#: Hooks that go from parameter to parameter of two models.
_AVERAGING = ('EMAHook', 'MeanTeacherHook')


class FrozenSharded(Lever):
    """Each process of a training keeps a part of the frozen blocks, and fetches the rest of one while it runs."""

    name = 'frozen_sharded'
    does = 'keep frozen blocks in parts, one in each process (FSDP)'
    order = 12
    # It is one of several processes, and costs what they send each other.
    safe = False

    def unsuited(self, cfg: Config) -> str | None:
        if digit_version(torch.__version__) < digit_version('2.7'):
            return f'it needs torch 2.7 or later, and this is {torch.__version__}'
        in_8_bits = FrozenInt8()
        if in_8_bits.name in (cfg.get('memory') or ()) or in_8_bits.is_on(cfg):
            return 'its frozen weights are in 8 bits'
        if cfg.get('feature_cache'):
            return 'with a feature cache the processes run the backbone at times of their own'
        for hook in cfg.get('custom_hooks') or ():
            if str(hook.get('type')).endswith(_AVERAGING):
                return f'{hook.type} averages weights that are whole'
        return in_8_bits.unsuited(cfg)  # which asks for a backbone that is frozen whole and runs as it is

    def put_on(self, model: nn.Module) -> list[str]:
        if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
            return [f'{self.name}: this is one process, which keeps all. torchrun starts several.']
        return [
            f'{self.name}: {path} stays whole in every process, as no block of it has weights that its pretrained file '
            'gives back.'
            for path, tuned in tuned_backbones(model)
            if not tuned.shard()
        ]
