"""Attention on the meta device as the CPU computes it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend
from torch.overrides import TorchFunctionMode


class AttentionOfTheCPU(TorchFunctionMode):
    """Within it ``scaled_dot_product_attention`` takes the kernel that it would take on a CPU.

    Of all operators it alone chooses by the device; on the meta device it would take the one that keeps the whole
    matrix of attention.
    """

    def __torch_function__(self, func, types, args=(), kwargs=None) -> Any:
        if func is F.scaled_dot_product_attention:
            return _attention(*args, **kwargs or {})
        return func(*args, **kwargs or {})


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    more = dict(dropout_p=dropout_p, is_causal=is_causal, scale=scale)
    given = (query, key, value) if attn_mask is None else (query, key, value, attn_mask)
    *real, mask = (*map(_on_the_cpu, given), *([] if attn_mask is not None else [None]))
    choice = torch._fused_sdp_choice(*real, attn_mask=mask, enable_gqa=enable_gqa, **more)
    if choice != SDPBackend.FLASH_ATTENTION.value:
        return F.scaled_dot_product_attention(query, key, value, attn_mask, enable_gqa=enable_gqa, **more)
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.zeros_like(attn_mask, dtype=query.dtype).masked_fill_(attn_mask.logical_not(), -torch.inf)
    flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return flash(query, key, value, attn_mask=attn_mask, **more)[0]


def _on_the_cpu(tensor: Tensor) -> Tensor:
    """As much of a tensor as decides: one image."""
    made = torch.empty_strided((1, *tensor.shape[1:]), tensor.stride(), dtype=tensor.dtype, device='cpu')
    return made.requires_grad_(tensor.requires_grad)
