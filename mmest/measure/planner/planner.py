"""Training steps of one config under any method."""

from collections.abc import Callable
from typing import Any

from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from mmest.checkpoints.named_pretrained import without_pretrained
from mmest.levers import put_on
from mmest.measure.ready import optim_config, prepare, with_method

from .fit import OptimizerMemory, StepFit
from .head import SMALL_RUNS, Head
from .meta_backbone import MetaBackbone
from .remembered import RememberedResults

# Some of torch's own come here themselves, not by what they call.
_RANDOM = (Tensor.uniform_, Tensor.normal_, Tensor.erfinv_, nn.init.kaiming_uniform_)


class _WithoutRandomValues(TorchFunctionMode):
    """Weights that nobody looks at keep what is in their memory."""

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        kwargs = kwargs or {}
        if func in _RANDOM:
            return args[0] if args else kwargs['tensor']
        return func(*args, **kwargs)


class Planner:
    """Predicts the memory of training steps of one config under any method.

    One model serves all: its neck and head run once for all methods, and its backbone has no data.

    Args:
        cfg: a config of mmdet or mmseg that uses TunedBackbone.
    """

    def __init__(self, cfg: Config) -> None:
        self._cfg = cfg
        self._model: nn.Module | None = None
        self._head: Head | None = None
        self._remembered = RememberedResults()

    def under(self, tuning: dict, done: Callable[[], None] = lambda: None) -> StepFit:
        """The step under a method.

        Args:
            tuning: config of the method.
            done: called after each small step of neck and head, which the first method has to wait for.

        Raises:
            ValueError: the config has no TunedBackbone, or cannot be built; the method does not suit the backbone.
        """
        if self._model is None:
            self._model = prepare(self._cfg, tuning, SMALL_RUNS[0][1])[0]
        own = with_method(self._cfg, tuning)
        alone = nn.Module()
        with _WithoutRandomValues():
            alone.backbone = MODELS.build(without_pretrained(own.model.backbone)).train()
            alone.backbone.method.init_weights()
        put_on(alone, own.get('memory') or [])
        with_optimizer = optim_config(own, 'fp32')
        accumulates = with_optimizer.get('accumulative_counts', 1) > 1
        backbone = MetaBackbone(alone.backbone, accumulates, self._remembered)
        if self._head is None:
            self._model.backbone = nn.Identity()
            of_the_head = build_optim_wrapper(self._model, with_optimizer)
            self._head = Head(self._model, of_the_head, backbone, done)
        self._model.backbone = alone.backbone
        of_all = build_optim_wrapper(self._model, with_optimizer)
        optimizer = OptimizerMemory(
            of_all, alone.backbone, backbone.device_type, self._remembered, self._head.updates_are_fused
        )
        backbone.reads = self._head.reads
        return StepFit(backbone, optimizer, self._head)
