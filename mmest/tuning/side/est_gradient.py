"""An EST Block of which only the inputs are kept: its gradient by hand.

The backward pass computes the block again (activation recomputation; Chen et al., "Training Deep Nets with Sublinear
Memory Cost", 2016), but for the depthwise convolution at its end, whose result no gradient needs. torch's own ways to
run a module again build its graph a second time, which beside operators as small as these costs as much as they do.
"""

from typing import TYPE_CHECKING, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from mmest.mixed_precision import is_mixed, without_autocast
from mmest.tuning.depthwise import depthwise_gradients

if TYPE_CHECKING:
    from mmest.tuning.side.est import ESTBlock, GateLayer, MultiChannelAdapterFusion

_ABOUT = 3  # what run_again hands over that is no tensor
_Found = dict[str, Tensor]


def working_dtype(x: Tensor) -> torch.dtype:
    """What linear layers and convolutions of x compute in: that of mixed precision where it is on, else its own."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if is_mixed(kind) else x.dtype


def run_again(block: 'ESTBlock', h: Tensor, state: Tensor | None) -> Tensor:
    """``block(h, state)``, of which only h and the state are kept for the backward pass, where it is computed again.

    Args:
        block: the EST Block.
        h: B×H×W×C, normalised; it gets a gradient where it wants one.
        state: B×H×W×d or None.

    Raises:
        RuntimeError: in the backward pass, where a parameter of the block was changed in place since the forward pass.
    """
    parameters = dict(block.named_parameters())
    return _RunAgain.apply(block, list(parameters), working_dtype(h), h, state, *parameters.values())


class _RunAgain(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        block: 'ESTBlock',
        names: list[str],
        dtype: torch.dtype,
        h: Tensor,
        state: Tensor | None,
        *parameters: Tensor,
    ) -> Tensor:
        ctx.block, ctx.names, ctx.dtype = block, ['h', 'state', *names], dtype
        ctx.dtypes = [None if x is None else x.dtype for x in (h, state, *parameters)]
        ctx.save_for_backward(h, state)
        ctx.versions = [p._version for p in parameters]
        return block(h, state)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        wanted, kind = ctx.needs_input_grad[_ABOUT:], gradient.device.type
        h, state = ctx.saved_tensors
        _refuse_changed(ctx.block, ctx.versions)
        with without_autocast(kind):
            found = _of_block(ctx.block, h, state, gradient, ctx.dtype, of_h=wanted[0])
        gradients = (
            found[name].to(dtype) if is_wanted else None
            for name, dtype, is_wanted in zip(ctx.names, ctx.dtypes, wanted)
        )
        return *(None,) * _ABOUT, *gradients


def _refuse_changed(block: 'ESTBlock', versions: list[int]) -> None:
    """As torch does for what it keeps itself."""
    for (name, parameter), version in zip(block.named_parameters(), versions):
        if parameter._version != version:
            raise RuntimeError(
                f'The gradient of an EST Block needs its "{name}" as it was in the forward pass, but it has been '
                f'modified by an inplace operation since: it is at version {parameter._version}; expected version '
                f'{version}. Call backward before the optimizer steps.'
            )


def _of_block(
    block: 'ESTBlock', h: Tensor, state: Tensor | None, gradient: Tensor, dtype: torch.dtype, of_h: bool
) -> _Found:
    """Gradients of ``state``, of ``h`` where it is wanted, and of each parameter by its name.

    Args:
        block, h, state: as of :func:`run_again`.
        gradient: of the result.
        dtype: what linear layers and convolutions compute in.
    """
    gate, fusion, norm = block.gate, block.fusion, block.fusion.norm
    # The block again, up to what the convolution takes in.
    # Maps are written over once they are of no more use: on a CPU a new one costs as much as what it is for.
    new = gated = _linear(h, block.reduce, dtype)
    if gate is not None:
        share, means = _share(gate, new, state, dtype)
        apart = new.sub_(state)
        gated = torch.addcmul(state, share, apart)
    z = gated.to(norm.weight.dtype)
    normed, *statistics = torch.native_layer_norm(z, norm.normalized_shape, norm.weight, norm.bias, norm.eps)
    narrow = _linear(normed, fusion.down, dtype)
    active = F.gelu(narrow)
    scales = fusion.scales()
    up = (fusion.up.weight * scales).to(dtype)
    added = F.linear(active, up, fusion.up.bias.to(dtype))
    # Backward, from there to the projection of the tap.
    found: _Found = {}
    of_added, found['dwconv.weight'], found['dwconv.bias'] = depthwise_gradients(
        added.permute(0, 3, 1, 2), gradient.to(dtype).permute(0, 3, 1, 2), block.dwconv.weight.to(dtype)
    )
    of_added = of_added.permute(0, 2, 3, 1)
    of_up, found['fusion.up.bias'] = _of_linear(active, of_added)
    found['fusion.up.weight'] = of_up * scales
    found['fusion.mix'] = _of_mix(fusion, (of_up * fusion.up.weight).sum(0))
    of_narrow = torch.ops.aten.gelu_backward(of_added @ up, narrow)
    del added, of_added, active, narrow
    found['fusion.down.weight'], found['fusion.down.bias'] = _of_linear(normed, of_narrow)
    of_normed = (of_narrow @ fusion.down.weight.to(dtype)).to(z.dtype)
    of_z, found['fusion.norm.weight'], found['fusion.norm.bias'] = torch.ops.aten.native_layer_norm_backward(
        of_normed, z, norm.normalized_shape, *statistics, norm.weight, norm.bias, [True, True, True]
    )
    of_new = of_z.add_(gradient).to(gated.dtype)
    del normed, of_narrow, of_normed, of_z, z, gated
    if gate is not None:
        of_logits = apart.mul_(of_new).sum((1, 2)) * (share * (1 - share)).view(-1, share.shape[-1])
        of_gated, of_new = of_new, share * of_new
        found['state'] = of_gated.sub_(of_new)
        if means is None:
            found['gate.logit'] = of_logits.sum_to_size(gate.logit.shape)
        else:
            found['gate.choose.weight'], found['gate.choose.bias'] = _of_linear(means, of_logits.to(dtype))
            of_means = of_logits.to(dtype) @ gate.choose.weight.to(dtype) / (h.shape[1] * h.shape[2])
            of_mean, of_state_mean = of_means[:, None, None].chunk(2, -1)
            of_new += of_mean
            found['state'] += of_state_mean
    of_new = of_new.to(dtype)
    found['reduce.weight'], found['reduce.bias'] = _of_linear(h, of_new)
    if of_h:
        found['h'] = of_new @ block.reduce.weight.to(dtype)
    return found


def _linear(x: Tensor, layer: nn.Linear, dtype: torch.dtype) -> Tensor:
    return F.linear(x.to(dtype), layer.weight.to(dtype), layer.bias.to(dtype))


def _of_linear(x: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of weight and bias of a layer that took in x, from that of its result."""
    x, gradient = x.to(gradient.dtype).flatten(0, -2), gradient.flatten(0, -2)
    return gradient.T @ x, gradient.sum(0)


def _share(gate: 'GateLayer', new: Tensor, state: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """The gate's g, and the means that it was computed from, where it was."""
    if gate.choose is None:
        return torch.sigmoid(gate.logit), None
    means = torch.cat([new.mean((1, 2)), state.mean((1, 2))], 1)
    return torch.sigmoid(_linear(means, gate.choose, dtype))[:, None, None], means


def _of_mix(fusion: 'MultiChannelAdapterFusion', of_scales: Tensor) -> Tensor:
    """The gradient of the learnt logits, from that of the scale of each channel of the bottlenecks."""
    weights = fusion.mix.softmax(0)
    of_weights = torch.stack([one.sum() for one in of_scales.to(weights.dtype).split(fusion.widths)])
    return weights * (of_weights - (weights * of_weights).sum())
