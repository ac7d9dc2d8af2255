"""Frozen weights spread over processes."""

import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.utils import digit_version
from torch import nn

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.levers.base import Lever
from mmest.levers.frozen_bf16 import FrozenBF16

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
        if cfg.model.backbone.get('compile'):
            return 'its backbone is compiled'
        if 'frozen_int8' in (cfg.get('memory') or ()) or cfg.model.backbone.get('frozen_dtype') == 'int8':
            return 'its frozen weights are in 8 bits'
        if cfg.get('feature_cache'):
            return 'with a feature cache the processes run the backbone at times of their own'
        for hook in cfg.get('custom_hooks') or ():
            if str(hook.get('type')).endswith(_AVERAGING):
                return f'{hook.type} averages weights that are whole'
        return FrozenBF16().unsuited(cfg)

    def put_on(self, model: nn.Module) -> list[str]:
        if not (dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1):
            return [f'{self.name}: this is one process, which keeps all. torchrun starts several.']
        return [
            f'{self.name}: {path} stays whole in every process, as no block of it has weights that its pretrained file '
            'gives back.'
            for path, tuned in tuned_backbones(model)
            if not tuned.shard()
        ]
