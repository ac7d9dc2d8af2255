"""Arguments of a call that runs again later."""

from typing import Any


def as_given(value: Any) -> Any:
    """Lists in arguments as they are now: between a forward pass and the second run of a block in backward, who called
    it may append to them (DenseNet's list of features).
    """
    if isinstance(value, list):
        return [as_given(v) for v in value]
    if type(value) is tuple:
        return tuple(as_given(v) for v in value)
    return {key: as_given(v) for key, v in value.items()} if type(value) is dict else value
