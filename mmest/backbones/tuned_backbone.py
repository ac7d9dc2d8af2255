"""The wrapper that holds a pretrained backbone and the method that tunes it."""

import copy
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.registry import HOOKS, MODELS
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from mmest.anatomy.hooks import Pass
from mmest.anatomy.probe import image_channels, maps_of, places_of_image
from mmest.anatomy.taps import Tap, TapReader
from mmest.backbones.compiled import CompiledForward
from mmest.backbones.known_weights import KnownWeights
from mmest.backbones.refusals import refuse_fused, refuse_options, refuse_other_names, refuse_other_shapes, refuse_tuned
from mmest.backbones.saved_precision import saving
from mmest.checkpoints.compiled_names import use_names_of
from mmest.checkpoints.delta import check_and_complete, rename_plain_keys
from mmest.checkpoints.safe import hold_models_to_the_rule
from mmest.checkpoints.whole import watch_models_around
from mmest.frameworks import calling_runner
from mmest.random_numbers import untouched_random_numbers
from mmest.tuning import build_tuning, tuning_arguments


@MODELS.register_module()
class TunedBackbone(KnownWeights):
    """A pretrained backbone, tuned by one method.

    Takes a B×C×H×W image batch and returns a tuple of B×C_k×H_k×W_k maps of the shapes that the backbone has by itself,
    so every neck and head works unchanged; where it returns the image too (``output_img`` of DetectoRS), the image is
    in its place. What the method does not train is frozen from the start, stays in eval mode, and is bit-identical
    after any number of optimizer steps.

    Args:
        backbone: config of any registered backbone, or the module itself. The ``init_cfg`` in the config, of type
            ``Pretrained``, names the weights.
        tuning: config of a registered tuning method, such as ``dict(type='EST')``.
        allow_random: let a frozen backbone train beside others though no file gave it weights, or not those of all its
            layers.
        frozen_dtype: ``bf16`` keeps the frozen weights in bfloat16, half the bytes, ``int8`` matrices and kernels in 8
            bits, a quarter, and runs the backbone in mixed precision; neck and side network get its maps as without.
            For methods beside the backbone, and Frozen.
        saved_dtype: ``bf16`` or ``int8``: in what a method beside the backbone keeps its maps for backward: half or
            little more than a quarter of the bytes, and gradients of maps that are rounded.
        compile: run the backbone by ``torch.compile`` in training. For methods beside the backbone, and Frozen.
        init_cfg: must be None; checkpoints of the backbone belong to its own config, where inference finds them too.
        pretrained: must be None, for the same reason.

    Raises:
        ValueError: weights were given to the wrapper; the method is unknown; the backbone does not suit the method, or
            is tuned already; the method trains inside the backbone, and ``frozen_dtype`` or ``compile`` is set; it lies
            not beside the backbone, and ``saved_dtype`` is set; ``compile`` is set beside ``frozen_dtype='int8'``.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        tuning: dict,
        allow_random: bool = False,
        frozen_dtype: str | None = None,
        saved_dtype: str | None = None,
        compile: bool = False,
        init_cfg: dict | None = None,
        pretrained: str | None = None,
    ) -> None:
        if init_cfg is not None or pretrained is not None:
            raise ValueError(
                'TunedBackbone takes no weights of its own, but got '
                f'{"init_cfg" if init_cfg is not None else "pretrained"}={init_cfg or pretrained!r}. Name them on the '
                "backbone inside: backbone=dict(type='TunedBackbone', backbone=dict(..., "
                "init_cfg=dict(type='Pretrained', checkpoint=...)))."
            )
        super().__init__(allow_random, frozen_dtype)
        watch_models_around(TunedBackbone)
        hold_models_to_the_rule(TunedBackbone)
        # mmdet's Swin reads its init_cfg by attribute.
        self.backbone = backbone if isinstance(backbone, nn.Module) else MODELS.build(ConfigDict(backbone))
        refuse_tuned(self.backbone)
        self._norms = [name for name, module in self.backbone.named_modules() if isinstance(module, _BatchNorm)]
        names = list(self.backbone.state_dict())
        # Without touching the random numbers that neck and head start from: methods are compared from the same start.
        with untouched_random_numbers():
            self.method = build_tuning(tuning, self.backbone)
        refuse_other_names(self.method, names, self.backbone)
        # A module that is tuned from Python may lie on a card already.
        self.method.to(next((p.device for p in self.backbone.parameters()), 'cpu'))
        #: All arguments of the method, as they are written into checkpoints.
        self.arguments = tuning_arguments(tuning)
        #: Whether a checkpoint has to bring every tensor of the model: before a training starts from fresh ones.
        self.expects_whole = True
        #: Whether what was trained lies in the backbone's own weights: this wrapper is of no use then.
        self.merged = False
        refuse_options(self.method, frozen_dtype, saved_dtype, compile)
        self.saved_dtype = saved_dtype
        self.compiled = CompiledForward(compile)
        #: In training, what gives the backbone's maps and taps of a batch in place of the backbone.
        self.cache: Callable | None = None
        #: Where the backbone returns the image itself.
        self._image_at: list[int] = []
        self.taps = None
        if self.method.tapped_blocks:
            self.taps = TapReader(self.method, self.backbone, self.method.tapped_blocks)
        self.freeze()
        self.precision.watch(self.backbone)
        if not self.precision.waits:
            self.precision.narrow(self.backbone)

    def init_weights(self) -> None:
        """Load the backbone's weights, as its ``init_cfg`` says, then initialise the method. A runner that trains the
        model without ESTHook gets it.

        Raises:
            FileNotFoundError: the pretrained file is not there.
            ValueError: it covers less than 95 % of the backbone's parameters.
        """
        self.load_backbone()
        self.method.init_weights()
        self.expects_whole = False
        self._is_init = True
        _guard(calling_runner())

    def refuse_merged(self) -> None:
        """Stop where what was trained would count twice.

        Raises:
            ValueError: it was merged into the backbone.
        """
        if self.merged:
            raise ValueError(
                f'What {type(self.method).__name__} trained is in the weights of the backbone already: it was merged. '
                'Go on with the module that merge() returned, in place of the tuned one.'
            )

    def __deepcopy__(self, memo: dict) -> 'TunedBackbone':
        """As of any module; what averages weights copies a model and takes the parameters of both to be alike."""
        self.settle_what_is_given()
        memo[id(self)] = copied = type(self).__new__(type(self))
        copied.__dict__ = copy.deepcopy(self.__dict__, memo)
        return copied

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        maps = self.run(x)[1]
        for place in self._image_at:
            maps.insert(place, x)
        return tuple(maps)

    def run(self, x: Tensor) -> tuple[Any, list[Tensor]]:
        """What the backbone returned for an image batch B×C×H×W, and the tuned maps."""
        self.warn_of_random_weights()
        self.keep_in_eval_mode()
        self.settle_what_is_given()
        self.compiled.prepare(self.backbone)
        with self.method.passing(self.backbone) as run:
            outputs = None
            if self.cache is not None and self.training:
                features, taps = self.cache(x, lambda part: self._read(part, run)[1:])
            else:
                outputs, features, taps = self._read(x, run)
            with saving(self.method, self.saved_dtype):
                tuned = self.method(features, taps, x)
            if self.training:  # shapes may be symbols where a graph is exported
                refuse_other_shapes(self.method, features, tuned)
            # Under autocast too, necks get what the plain backbone would give them.
            return outputs, [y.to(f.dtype) for y, f in zip(tuned, features)]

    def _read(self, x: Tensor, run: Pass) -> tuple[Any, list[Tensor], list[Tap]]:
        """What the backbone returned, its maps and its taps."""
        outputs = self.run_backbone(x)
        return outputs, *self.gather(outputs, x, run)

    def run_backbone(self, x: Tensor) -> Any:
        """What the backbone alone returns for an image batch B×C×H×W."""
        # Frozen parts build no graph by themselves, as long as nothing in front of them needs one.
        with torch.no_grad() if self.method.beside else nullcontext(), self.precision.computing(x.device):
            return self.compiled(self.backbone, x, self.training)

    def gather(self, outputs: Any, x: Tensor, run: Pass) -> tuple[list[Tensor], list[Tap]]:
        """The maps and taps of what the backbone returned for ``x`` in a pass."""
        self.method.refuse_idle(run, self.backbone)
        refuse_fused(self.backbone, self._norms, self.method)
        places = places_of_image(outputs, x)
        if places != self._image_at:  # once: many threads may run one model
            self._image_at = places
        features = [self.precision.handed_over(f, x) for f in maps_of(outputs, x)]
        taps = [] if self.taps is None else self.taps.take(run, (x.shape[-2], x.shape[-1]), features)
        return features, [tap._replace(feature=self.precision.handed_over(tap.feature, x)) for tap in taps]

    def read(self, x: Tensor) -> tuple[list[Tensor], list[Tap]]:
        """The backbone's maps of an image batch B×C×H×W, and its taps: all that a method that reads taps alone sees."""
        self.keep_in_eval_mode()
        self.settle_what_is_given()
        self.compiled.prepare(self.backbone)
        with self.method.passing(self.backbone) as run:
            return self._read(x, run)[1:]

    @property
    def image_channels(self) -> int:
        """Channels of the images that it takes."""
        device = next((p.device for p in self.backbone.parameters()), torch.device('cpu'))
        with self.precision.computing(device):
            return image_channels(self.backbone)

    @property
    def is_frozen(self) -> bool:
        """Whether the backbone gives the same maps of an image however long the method trains."""
        return self.method.beside or not any(p.requires_grad for p in self.parameters())

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ) -> None:
        rename_plain_keys(self, state_dict, prefix)
        use_names_of(self, state_dict, prefix)
        check_and_complete(self, state_dict, prefix)
        self.take_note_of(state_dict, f'{prefix}backbone.')
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


@MODELS.register_module()
class ESTBackbone(TunedBackbone):
    """:class:`TunedBackbone` with EST chosen.

    Args:
        backbone: config of any registered backbone.
        allow_random, frozen_dtype, saved_dtype, compile: as of :class:`TunedBackbone`.
        knobs: arguments of :class:`mmest.tuning.side.est.EST`.
    """

    def __init__(
        self,
        backbone: dict,
        allow_random: bool = False,
        frozen_dtype: str | None = None,
        saved_dtype: str | None = None,
        compile: bool = False,
        **knobs,
    ) -> None:
        super().__init__(backbone, dict(type='EST', **knobs), allow_random, frozen_dtype, saved_dtype, compile)


def tuned_backbones(model: nn.Module) -> list[tuple[str, TunedBackbone]]:
    """(name, module) of every TunedBackbone in a model."""
    return [(name, m) for name, m in model.named_modules() if isinstance(m, TunedBackbone)]


def _guard(runner: Runner | None) -> None:
    """Add ESTHook to a runner that lacks it: a config that sets ``custom_hooks`` replaces those of its base."""
    if runner is not None and not any(isinstance(hook, HOOKS.get('ESTHook')) for hook in runner.hooks):
        hook = HOOKS.build(dict(type='ESTHook'))
        runner.register_hook(hook)
        hook.before_run(runner)  # which has passed
        runner.logger.info('ESTHook was not among the custom_hooks of the config and has been added.')
