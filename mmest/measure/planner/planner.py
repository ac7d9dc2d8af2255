"""Training steps of one config under any method."""

import copy
from collections.abc import Callable
from typing import Any

from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mmest.backbones.tuned_backbone import TunedBackbone
from mmest.configs import tuned_backbone_of
from mmest.measure.memory.compare import optim_config, prepare, without_pretrained

from .fit import OptimizerMemory, StepFit
from .head import SMALL_RUNS, Head
from .meta_backbone import MetaBackbone

_RANDOM = (Tensor.uniform_, Tensor.normal_)


class _WithoutRandomValues(TorchFunctionMode):
    """Weights that nobody looks at keep what is in their memory."""

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        return args[0] if func in _RANDOM else func(*args, **kwargs or {})


class Planner:
    """Predicts the memory of training steps of one config under any method.

    One model serves all: its neck and head run once for all methods, and its backbone has no data.

    Args:
        cfg: a config of mmdet or mmseg that uses TunedBackbone.

    Raises:
        ValueError: the config has no TunedBackbone, or cannot be built.
    """

    def __init__(self, cfg: Config) -> None:
        self._model = prepare(cfg, dict(type='Frozen'), SMALL_RUNS[0][1])[0]
        self._optimizer = optim_config(cfg, 'fp32')
        with _WithoutRandomValues():
            self._inner = MODELS.build(without_pretrained(copy.deepcopy(tuned_backbone_of(cfg)['backbone'])))
        self._head: Head | None = None

    def under(self, tuning: dict, done: Callable[[], None] = lambda: None) -> StepFit:
        """The step under a method.

        Args:
            tuning: config of the method.
            done: called after each small step of neck and head, which the first method has to wait for.

        Raises:
            ValueError: the method does not suit the backbone.
        """
        with _WithoutRandomValues():
            tuned = TunedBackbone(copy.deepcopy(self._inner), tuning).train()
        self._model.backbone = tuned
        optimizer = OptimizerMemory(build_optim_wrapper(self._model, self._optimizer), tuned)
        if self._head is None:
            self._model.backbone = nn.Identity()
            own = build_optim_wrapper(self._model, self._optimizer)
            self._head = Head(self._model, own, MetaBackbone(tuned).shapes, done)
        accumulates = self._optimizer.get('accumulative_counts', 1) > 1
        return StepFit(MetaBackbone(tuned, self._head.reads, accumulates), optimizer, self._head)
