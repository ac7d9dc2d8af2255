"""Tuning from Python: any module that returns maps, without a config and without a registry."""

from typing import Any

from torch import Tensor, nn

from mmest.anatomy.hooks import restore
from mmest.anatomy.probe import with_maps
from mmest.backbones.tuned_backbone import TunedBackbone
from mmest.checkpoints.compiled_names import plain_name
from mmest.checkpoints.digests import digests
from mmest.checkpoints.pretrained import pretrained_source
from mmest.configs import available_tunings, load_tuning


class TunedModule(TunedBackbone):
    """A module that returns maps, tuned by one method; made by :func:`tune`.

    It returns what the module returns: a map, or a list, a tuple or a dict of maps, each B×C×H×W.

    Args:
        module: with the weights that it was pretrained to.
        tuning: ``dict(type=NAME, ...)`` of the method.
        frozen_dtype: see :class:`TunedBackbone`.
    """

    def __init__(self, module: nn.Module, tuning: dict, frozen_dtype: str | None = None) -> None:
        weights = digests(module.state_dict().items())
        super().__init__(module, tuning, frozen_dtype=frozen_dtype)
        self._has_weights = True
        self._given = {plain_name(name) for name, _ in module.named_parameters()}
        # What is frozen is what the caller brings: a delta leaves it out.
        self._restorable = {name: weights[name] for name, _ in self.frozen_state()}
        self.precision.remember_rounded(self._restorable, self.frozen_state())

    def load_backbone(self) -> None:
        """Load what the module's ``init_cfg`` names; without one its weights are those that it came with."""
        if pretrained_source(self.backbone) is not None:
            super().load_backbone()

    def forward(self, x: Tensor) -> Any:
        outputs, maps = self.run(x)
        return with_maps(outputs, x, maps, self._image_at)

    def merge(self) -> nn.Module:
        """Fold what was trained into the module's own parameters and return the module, which needs mmest no more.

        This wrapper is of no use afterwards. What ``frozen_dtype`` rounded stays rounded, in float32.

        Raises:
            ValueError: the method cannot be merged, or was before.
        """
        self.refuse_merged()
        self.method.merge(self.backbone)  # first: where it refuses, all stays as it was
        self.merged = True
        self.use_precision_of_file()
        self.method.release(self.backbone)
        for module in self.backbone.modules():
            restore(module)  # what kept frozen parts in eval mode, and norms from keeping maps
        return self.backbone


def tune(module: nn.Module, method: str = 'EST', frozen_dtype: str | None = None, **knobs: Any) -> TunedModule:
    """Tune a pretrained module: what the method does not train is frozen from here on.

    ::

        backbone = mmest.tune(timm.create_model('convnext_tiny', pretrained=True, features_only=True))
        model = MyModel(backbone)
        optimizer = torch.optim.AdamW(mmest.trainable_parameters(model, lr=1e-4, weight_decay=0.05))

    Args:
        module: takes a B×C×H×W image batch and returns maps (B×C×H×W, channels first): a backbone of timm
            (``features_only=True``), torchvision, segmentation_models_pytorch, torchgeo, OpenMMLab, or your own. It is
            used as it is, not copied.
        method: a tuning method, such as ``EST``, ``LoRA``, ``Full``.
        frozen_dtype: ``bf16`` keeps frozen weights in bfloat16, in place: half their bytes; ``int8`` in 8 bits from the
            first run on: a quarter. For methods beside the module.
        knobs: arguments of the method; what is left out is as the shipped configs have it.

    Returns:
        The tuned module, which returns what the module returns. At the start that is exactly what the frozen module
        computes.

    Raises:
        TypeError: the method has no such argument, or the module is none.
        ValueError: there is no such method; it does not suit the module; an argument is out of its range.
    """
    if not isinstance(module, nn.Module):
        raise TypeError(f'mmest.tune takes a module that returns maps, but got {type(module).__name__}.')
    return TunedModule(module, {**_shipped(method), **knobs}, frozen_dtype)


def _shipped(method: str) -> dict:
    """The method as configs have it, with its rate beside that of full fine-tuning."""
    shipped = {name: load_tuning(name) for name in available_tunings()}
    found = [dict(cfg) for name, cfg in shipped.items() if method in (name, cfg.type)]
    return found[0] if found else dict(type=method)
