"""Neck and heads that keep their inputs, and run again level by level in the backward pass."""

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from torch import Tensor, nn

from mmest.anatomy.hooks import override
from mmest.levers.base import Lever
from mmest.levers.recomputing import recompute, recomputed


class HeadsRecomputed(Lever):
    """Keeps of neck and heads what their parts take in, not what they compute in between.

    - A neck runs again as a whole.
    - Heads of mmdet that run on one level after the other (``forward_single``) run again level by level.
    - Heads of mmseg run again convolution by convolution, where a norm lies behind it.
    - UPerNet's and SegFormer's heads convolve the maps of all levels side by side: here that is a sum of a convolution
      per level, and the map of all channels never exists. UPerNet's levels run again one by one; SegFormer's 1×1
      convolutions run in front of the resizing, which is the same.
    """

    name = 'heads_recomputed'
    does = 'run neck and heads again, level by level, in backward; no concatenated maps'
    order = 30

    def put_on(self, model: nn.Module) -> list[str]:
        neck = getattr(model, 'neck', None)
        if neck is not None:
            recompute(neck)
        for module in model.modules():
            if callable(getattr(module, 'forward_single', None)):
                recompute(module, 'forward_single')
        return [said for head in decode_heads(model) for said in _lighten(head)]


def decode_heads(model: nn.Module) -> Iterator[nn.Module]:
    """The heads of a model that are mmseg's."""
    mmseg = sys.modules.get('mmseg.models.decode_heads.decode_head')
    return (module for module in model.modules() if mmseg and isinstance(module, mmseg.BaseDecodeHead))


def _lighten(head: nn.Module) -> list[str]:
    from mmseg.models.decode_heads import SegformerHead, UPerHead

    said, fusion = [], None
    kind = type(head)
    if isinstance(head, UPerHead) and kind._forward_feature is UPerHead._forward_feature:
        fusion, name, function = head.fpn_bottleneck, '_forward_feature', _uper_features
    elif isinstance(head, SegformerHead) and kind.forward is SegformerHead.forward:
        fusion, name, function = head.fusion_conv, 'forward', _segformer_logits
    if fusion is not None and _is_sum_of_levels(fusion):
        override(head, name, function)
    elif fusion is not None:
        said = [f'{kind.__name__} keeps its concatenated map: its last convolution is no plain one with a norm behind.']
    for module in head.modules():
        if isinstance(module, ConvModule) and module.with_norm and module is not fusion:
            recompute(module)
    return said


def _is_sum_of_levels(fusion: ConvModule) -> bool:
    conv = fusion.conv
    plain = type(conv) is nn.Conv2d and conv.groups == 1 and conv.padding_mode == 'zeros'
    return plain and not fusion.with_explicit_padding and tuple(fusion.order) == ('conv', 'norm', 'act')


def _convolved(fusion: ConvModule, weight: Tensor, x: Tensor) -> Tensor:
    """What one map adds to a convolution of maps side by side; ``weight`` is of its channels."""
    conv = fusion.conv
    return F.conv2d(x, weight, None, conv.stride, conv.padding, conv.dilation)


def _finished(fusion: ConvModule, total: Tensor) -> Tensor:
    """What lies behind the sum of the maps' convolutions."""
    if fusion.conv.bias is not None:
        total = total + fusion.conv.bias[:, None, None]
    total = fusion.norm(total) if fusion.with_norm else total
    return fusion.activate(total) if fusion.with_activation else total


def _uper_features(inner: Callable, head: Any, inputs: Sequence[Tensor]) -> Tensor:
    if not torch.is_grad_enabled():
        return inner(head, inputs)
    inputs = head._transform_inputs(inputs)
    fusion, size, last = head.fpn_bottleneck, inputs[0].shape[2:], len(inputs) - 1
    weights = fusion.conv.weight.split(head.channels, 1)

    def resized(x: Tensor, size: torch.Size) -> Tensor:
        return F.interpolate(x, size, mode='bilinear', align_corners=head.align_corners)

    def finest(x: Tensor, above: Tensor, weight: Tensor) -> Tensor:
        lateral = head.lateral_convs[0](x) + resized(above, size)
        return _convolved(fusion, weight, head.fpn_convs[0](lateral))

    def coarser(i: int, lateral: Tensor, weight: Tensor) -> Tensor:
        output = lateral if i == last else head.fpn_convs[i](lateral)
        return _convolved(fusion, weight, resized(output, size))

    laterals = {last: head.psp_forward(inputs)}
    for i in range(last - 1, 0, -1):
        laterals[i] = head.lateral_convs[i](inputs[i]) + resized(laterals[i + 1], inputs[i].shape[2:])
    # The finest first: backward, which goes from the last to the first, then has it to itself.
    total = recomputed(head, finest, inputs[0], laterals[1], weights[0])
    for i in range(1, last + 1):
        total = total + recomputed(head, coarser, i, laterals[i], weights[i])
    return _finished(fusion, total)


def _segformer_logits(inner: Callable, head: Any, inputs: Sequence[Tensor]) -> Tensor:
    if not torch.is_grad_enabled():
        return inner(head, inputs)
    inputs = head._transform_inputs(inputs)
    fusion, corners = head.fusion_conv, head.align_corners
    total: Any = 0
    for x, conv, weight in zip(inputs, head.convs, fusion.conv.weight.split(head.channels, 1)):
        x = _convolved(fusion, weight, conv(x))
        total = total + F.interpolate(x, inputs[0].shape[2:], mode=head.interpolate_mode, align_corners=corners)
    return head.cls_seg(_finished(fusion, total))
