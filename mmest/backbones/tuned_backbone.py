"""The wrapper that holds a pretrained backbone and the method that tunes it."""

import copy
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from itertools import chain
from typing import Any

import torch
from mmengine.config import ConfigDict
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.registry import HOOKS, MODELS
from mmengine.runner import Runner
from torch import Tensor, nn

from mmest.anatomy.hooks import Pass, override
from mmest.anatomy.probe import maps_of
from mmest.anatomy.taps import Tap, TapReader
from mmest.backbones.compiled import CompiledForward
from mmest.backbones.frozen_norm import is_frozen_norm, normed_by_constants
from mmest.backbones.frozen_precision import PRECISIONS, FrozenPrecision
from mmest.backbones.refusals import refuse_options, refuse_tuned
from mmest.backbones.saved_precision import saving
from mmest.checkpoints.delta import check_and_complete, rename_plain_keys
from mmest.checkpoints.digests import digests
from mmest.checkpoints.pretrained import MIN_COVERAGE, Coverage, load_pretrained, pretrained_source
from mmest.checkpoints.safe import hold_models_to_the_rule
from mmest.checkpoints.whole import watch_models_around
from mmest.frameworks import calling_runner
from mmest.tuning import build_tuning, tuning_arguments


def _stay_in_eval_mode(train: Callable, module: nn.Module, mode: bool = True) -> nn.Module:
    """What ``train`` is in a frozen module; those inside it decide for themselves."""
    train(module, mode)
    module.training = False
    return module


@MODELS.register_module()
class TunedBackbone(BaseModule):
    """A pretrained backbone, tuned by one method.

    Takes a B×C×H×W image batch and returns a tuple of B×C_k×H_k×W_k maps of the shapes that the backbone has by itself,
    so every neck and head works unchanged. What the method does not train is frozen from the start, stays in eval mode,
    and is bit-identical after any number of optimizer steps.

    Args:
        backbone: config of any registered backbone, or the module itself. The ``init_cfg`` in the config, of type
            ``Pretrained``, names the weights.
        tuning: config of a registered tuning method, such as ``dict(type='EST')``.
        allow_random: let a frozen backbone train beside others though no file gave it weights.
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
        super().__init__()
        watch_models_around(TunedBackbone)
        hold_models_to_the_rule(TunedBackbone)
        # mmdet's Swin reads its init_cfg by attribute.
        self.backbone = backbone if isinstance(backbone, nn.Module) else MODELS.build(ConfigDict(backbone))
        refuse_tuned(self.backbone)
        # Without touching the random numbers that neck and head start from: methods are compared from the same start.
        with torch.random.fork_rng():
            self.method = build_tuning(tuning, self.backbone)
        #: All arguments of the method, as they are written into checkpoints.
        self.arguments = tuning_arguments(tuning)
        self.allow_random = allow_random
        #: Whether a checkpoint has to bring every tensor of the model: before a training starts from fresh ones.
        self.expects_whole = True
        self.coverage: Coverage | None = None
        self._restorable: dict[str, str] = {}
        self._has_weights = False
        self._warned = False
        self.precision = FrozenPrecision(frozen_dtype)
        refuse_options(self.method, frozen_dtype, saved_dtype, compile)
        self.saved_dtype = saved_dtype
        self.compiled = CompiledForward(compile)
        #: In training, what gives the backbone's maps and taps of a batch in place of the backbone.
        self.cache: Callable | None = None
        self.taps = None
        if self.method.tapped_blocks:
            self.taps = TapReader(self.method, self.backbone, self.method.tapped_blocks)
        self._freeze()
        self.precision.watch(self.backbone)
        if not self.precision.waits:
            self.precision.narrow(self.backbone)

    def _freeze(self) -> None:
        self.backbone.train()  # which leaves some modules in eval mode by its own choice (norm_eval), and freezes some
        trained = {id(p) for p in self.method.trained_parameters(self.backbone)}
        for name, p in self.backbone.named_parameters():
            p.requires_grad_(id(p) in trained)
            if self.method.beside and p.requires_grad:
                raise ValueError(
                    f'{type(self.method).__name__} lies beside a frozen backbone, but it also trains '
                    f'"{name}" inside: the graph would run through the whole backbone at the memory of full '
                    'fine-tuning. A method beside the backbone must train nothing of it.'
                )
        trained_modules = {m for root in self.method.trained_modules(self.backbone) for m in root.modules()}
        self._in_eval_mode = set()
        for name, module in self.backbone.named_modules():
            if module not in trained_modules or not module.training:
                self._in_eval_mode.add(name)
                override(module, 'train', _stay_in_eval_mode)
                if self.method.trains_inside() and is_frozen_norm(module):
                    override(module, 'forward', normed_by_constants)
        self.train(self.training)

    def train(self, mode: bool = True) -> 'TunedBackbone':
        """Set the mode of all that trains; what is frozen stays in eval mode (no drop path, no BatchNorm
        statistics), and so does what the backbone itself keeps there (``norm_eval``).
        """
        flags = [(p, p.requires_grad) for p in self.backbone.parameters()]
        super().train(mode)
        for p, trains in flags:
            p.requires_grad_(trains)  # some backbones freeze here (frozen_stages), but the method says what trains
        self._keep_in_eval_mode()
        return self

    def _keep_in_eval_mode(self) -> None:
        # Modules that others have put in (SyncBN for BN, say) come in a mode of their own.
        for name, module in self.backbone.named_modules():
            if module.training and name in self._in_eval_mode:
                module.training = False

    def frozen_state(self) -> Iterator[tuple[str, Tensor]]:
        """(name inside the backbone, tensor) of every parameter and persistent buffer that does not train."""
        trained = self._trained_inside()
        for name, tensor in self.backbone.state_dict(keep_vars=True).items():
            if id(tensor) not in trained:
                yield name, tensor.detach()

    def _trained_inside(self) -> set[int]:
        buffers = {id(b) for module in self.method.trained_modules(self.backbone) for b in module.buffers()}
        return buffers | {id(p) for p in self.backbone.parameters() if p.requires_grad}

    def take_frozen_from(self, twin: 'TunedBackbone') -> None:
        """Hold the bytes of what is frozen in a twin, of the same config."""
        trained = twin._trained_inside()
        own = {**dict(self.backbone.named_parameters()), **dict(self.backbone.named_buffers())}
        for name, value in chain(twin.backbone.named_parameters(), twin.backbone.named_buffers()):
            if id(value) not in trained:
                own[name].data.copy_(value.data)

    def frozen_digests(self) -> dict[str, str]:
        """Digest of each of :meth:`frozen_state`, of the tensor that the pretrained file gave where this is that one,
        rounded by ``frozen_dtype``.
        """
        return self.precision.digests(self.frozen_state())

    def use_precision_of_file(self) -> None:
        """Keep frozen weights in float32 from here on; what was rounded stays so until weights are loaded."""
        self.precision.widen(self.backbone)
        self.precision = FrozenPrecision(None)

    def restorable(self) -> dict[str, str]:
        """Digests of the frozen tensors as the pretrained file gives them: what a delta checkpoint can leave out."""
        return self._restorable

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

    def refuse_random_weights(self) -> None:
        """Stop a training beside noise.

        Raises:
            ValueError: part of the backbone is frozen, neither a pretrained file nor a checkpoint has given it weights,
                and ``allow_random`` is not set.
        """
        if self._has_weights or self.allow_random or not any(True for _ in self.frozen_state()):
            return
        raise ValueError(
            f'{type(self.backbone).__name__} is frozen by {type(self.method).__name__} and has random weights: its '
            "init_cfg names no file, and load_from brought none. Name one: backbone=dict(type='TunedBackbone', "
            "backbone=dict(..., init_cfg=dict(type='Pretrained', checkpoint=...))); or allow it: "
            "dict(type='TunedBackbone', allow_random=True, ...)."
        )

    def load_backbone(self) -> None:
        """Give the backbone the weights that its ``init_cfg`` names (or a fresh start, if it names none)."""
        self.precision.widen(self.backbone)
        self.coverage = load_pretrained(self.backbone)
        self._has_weights = self.coverage is not None
        self._restorable = {}
        if self.coverage is not None:
            self._restorable = self._given_by_file(self.coverage)
        if not self.precision.waits:
            self.precision.narrow(self.backbone)
        self.precision.remember(self._restorable, self.frozen_state())

    def settle(self) -> None:
        """Keep frozen weights as ``frozen_dtype`` says, where that waits for the first run of the backbone."""
        if self.precision.waits:
            given = self.frozen_digests() if self._restorable else {}
            self.precision.narrow(self.backbone)
            self.precision.remember(given, self.frozen_state())

    def _settle_what_is_given(self) -> None:
        if self._is_init or self._has_weights:  # some models look at maps of random weights while they are built
            self.settle()

    def __deepcopy__(self, memo: dict) -> 'TunedBackbone':
        """As of any module; what averages weights copies a model and takes the parameters of both to be alike."""
        self._settle_what_is_given()
        memo[id(self)] = copied = type(self).__new__(type(self))
        copied.__dict__ = copy.deepcopy(self.__dict__, memo)
        return copied

    def _given_by_file(self, coverage: Coverage) -> dict[str, str]:
        """Digests of the frozen tensors that a file gives; what of them it lacks is said."""
        lost = set(coverage.missing)
        random = [
            name for name, p in self.backbone.named_parameters() if name in lost and not p.requires_grad and p.ndim > 1
        ]
        print_log(str(coverage), logger='current')
        if random:
            print_log(
                f'{len(random)} frozen weights of {coverage.backbone} stay random, because the file lacks them, '
                f'first {random[0]}. Is it the file of this very backbone?',
                logger='current',
                level=30,
            )
        # What the file lacks is restorable all the same where every build gives it the same constant.
        return digests(
            (name, tensor)
            for name, tensor in self.frozen_state()
            if name not in lost or bool((tensor == tensor.flatten()[0]).all())
        )

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return tuple(self.run(x)[1])

    def run(self, x: Tensor) -> tuple[Any, list[Tensor]]:
        """What the backbone returned for an image batch B×C×H×W, and the tuned maps."""
        if not (self._has_weights or self._warned) and pretrained_source(self.backbone) is not None:
            self._warned = True  # say it once
            print_log(
                f'{type(self.backbone).__name__} runs with random weights: neither init_weights() nor a '
                f'checkpoint has given it "{pretrained_source(self.backbone)}".',
                logger='current',
                level=30,
            )
        self._keep_in_eval_mode()
        self._settle_what_is_given()
        self.compiled.prepare(self.backbone)
        with self.method.passing(self.backbone) as run:
            outputs = None
            if self.cache is not None and self.training:
                features, taps = self.cache(x, lambda part: self._read(part, run)[1:])
            else:
                outputs, features, taps = self._read(x, run)
            with saving(self.method, self.saved_dtype):
                tuned = self.method(features, taps, x)
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
        features = [self.precision.handed_over(f, x) for f in maps_of(outputs, x)]
        taps = [] if self.taps is None else self.taps.take(run, (x.shape[-2], x.shape[-1]), features)
        return features, [tap._replace(feature=self.precision.handed_over(tap.feature, x)) for tap in taps]

    def read(self, x: Tensor) -> tuple[list[Tensor], list[Tap]]:
        """The backbone's maps of an image batch B×C×H×W, and its taps: all that a method that reads taps alone sees."""
        self._keep_in_eval_mode()
        self._settle_what_is_given()
        self.compiled.prepare(self.backbone)
        with self.method.passing(self.backbone) as run:
            return self._read(x, run)[1:]

    @property
    def is_frozen(self) -> bool:
        """Whether the backbone gives the same maps of an image however long the method trains."""
        return self.method.beside or not any(p.requires_grad for p in self.parameters())

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ) -> None:
        rename_plain_keys(self, state_dict, prefix)
        check_and_complete(self, state_dict, prefix)
        self._say_what_is_rounded(state_dict, f'{prefix}backbone.')
        self._has_weights = self._has_weights or self._share_in(state_dict, prefix) >= MIN_COVERAGE
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def _say_what_is_rounded(self, state_dict: dict[str, Tensor], prefix: str) -> None:
        given = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
        lost = self.precision.lost(self.backbone, given)
        if lost:
            print_log(
                f'{len(lost)} frozen weights of {type(self.backbone).__name__} that the checkpoint has in float32 are '
                f'rounded to {PRECISIONS[self.precision.dtype]} by frozen_dtype, first {lost[0]}. No pretrained file '
                'gives them back, so deltas and exports have them rounded too. Name the file that has them in the '
                f'init_cfg of the backbone, or leave frozen_dtype (--memory frozen_{self.precision.dtype}) out.',
                logger='current',
                level=30,
            )

    def _share_in(self, state_dict: dict[str, Tensor], prefix: str) -> float:
        """How much of the backbone's parameters a state dict has."""
        sizes, covered = 0, 0
        for name, p in self.backbone.named_parameters():
            given = state_dict.get(f'{prefix}backbone.{name}')
            sizes += p.numel()
            covered += p.numel() if isinstance(given, Tensor) and given.shape == p.shape else 0
        return covered / max(sizes, 1)


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
        runner.register_hook(dict(type='ESTHook'))
        runner.logger.info('ESTHook was not among the custom_hooks of the config and has been added.')
