"""A call that runs again later, and its arguments."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.utils.checkpoint


def as_given(value: Any) -> Any:
    """Lists in arguments as they are now: between a forward pass and the second run of a block in backward, who called
    it may append to them (DenseNet's list of features).
    """
    if isinstance(value, list):
        return [as_given(v) for v in value]
    if type(value) is tuple:
        return tuple(as_given(v) for v in value)
    return {key: as_given(v) for key, v in value.items()} if type(value) is dict else value


def run_again_in_backward(function: Callable, args: Sequence[Any], kwargs: Mapping[str, Any], **how: Any) -> Any:
    """``function(*args, **kwargs)``, of which backward keeps the arguments alone.

    Args:
        function: of tensors and other values.
        args: by place.
        kwargs: by name. torch looks for the cards on which random numbers are drawn, and drawn again, among arguments
            by place alone, so it is given these by place too.
        how: further arguments of ``torch.utils.checkpoint.checkpoint``.
    """
    return torch.utils.checkpoint.checkpoint(
        lambda args, kwargs: function(*args, **kwargs),
        as_given(tuple(args)),
        as_given(dict(kwargs)),
        use_reentrant=False,
        **how,
    )
