"""What a lever is."""

from mmengine.config import Config
from torch import nn


class Lever:
    """One way to train in less memory, off by default.

    A lever acts on the config, before a model is built, or on the model. What it does to results is nothing but
    rounding, unless :attr:`exact` says otherwise.
    """

    #: As ``memory`` in a config names it.
    name = ''

    #: What it does, in a few words for a table.
    does = ''

    #: Place among the levers, where they are added one by one.
    order = 0

    #: Whether losses and gradients are as without, up to 1e-5.
    exact = True

    #: Whether ``lowest`` turns it on.
    safe = True

    #: The lever that does the same further, and takes its place in ``lowest`` where both suit.
    outdone_by: str | None = None

    def unsuited(self, cfg: Config) -> str | None:
        """Why it can do nothing for a config's method or model; None where it can."""
        return None

    def is_on(self, cfg: Config) -> bool:
        """Whether a config has turned it on by itself, in the words of the model; asked of levers that do the same as
        others.
        """
        return False

    def configure(self, cfg: Config) -> None:
        """Turn it on in a config, in place. Done twice, it is done once."""

    def put_on(self, model: nn.Module) -> list[str]:
        """Turn it on in a model, in place.

        Returns:
            Sentences about parts that stay as they are.
        """
        return []
