"""What a tuning method is."""

from collections.abc import Iterator, Mapping, Sequence

from torch import Tensor, nn

from mmest.anatomy.blocks import Block
from mmest.anatomy.hooks import Hooked
from mmest.anatomy.taps import Tap


class TuningMethod(nn.Module, Hooked):
    """Says what of a backbone trains, and adds what trains beside or inside it.

    A subclass is built with the backbone that it will tune, whose parameters it must neither replace nor rename. Its
    own modules are its children, so their checkpoint keys start with ``method.``. Where it acts inside the backbone it
    does so by :meth:`hook_before`, :meth:`hook_after` and :meth:`hook_around`, and keeps nothing of a forward pass on
    itself: many threads may run one model.

    Args:
        backbone: the backbone to tune, not frozen yet.
        lr_mult: factor on the learning rate of all that this method trains in or beside the backbone.
    """

    #: Where the method acts, in a few words.
    acts_on = ''

    #: Where the method is defined.
    source = ''

    #: Whether it trains anything of or beside the backbone.
    trains = True

    #: Whether the method lies beside the backbone, which then runs without a graph.
    beside = False

    #: Whether it changes what single layers compute, in front of the norm behind them.
    changes_layers = False

    #: Whether the method runs layers of the frozen backbone again by itself.
    reruns_backbone = False

    #: Whether it runs blocks of the backbone again in the backward pass by itself, and all with ``recompute_all``.
    recomputes_blocks = False

    #: Whether its gradients, all together, stay within 1 % of the exact ones if what it keeps is rounded to 8 bits.
    keeps_in_8_bits = False

    #: Arguments that change how it trains, not what it computes from given weights.
    training_arguments = frozenset(('lr_mult', 'layer_decay', 'dropout', 'recompute', 'recompute_all'))

    #: The blocks whose outputs ``forward`` wants to see, by index and ascending; empty for methods that read no taps.
    tapped_blocks: Mapping[int, Block] = {}

    def __init__(self, backbone: nn.Module, lr_mult: float = 1.0) -> None:
        nn.Module.__init__(self)
        Hooked.__init__(self)
        self.lr_mult = lr_mult

    @classmethod  # for what knows the config alone
    def trains_inside(cls) -> bool:
        """Whether gradients pass through the backbone, or parts of it."""
        return cls.trains and not cls.beside

    def trained_modules(self, backbone: nn.Module) -> list[nn.Module]:
        """The modules of the backbone that train as they are: parameters, buffers and training mode."""
        return []

    def trained_parameters(self, backbone: nn.Module) -> Iterator[nn.Parameter]:
        """The parameters of the backbone that train."""
        for module in self.trained_modules(backbone):
            yield from module.parameters()

    def lr_factor(self, name: str) -> float:
        """Factor on the learning rate of a parameter, named as in the TunedBackbone (``backbone.x``, ``method.x``)."""
        return self.lr_mult

    def init_weights(self) -> None:
        """Give the method's own modules their starting values. Called after the backbone has its weights."""

    def forward(self, features: Sequence[Tensor], taps: Sequence[Tap], image: Tensor) -> Sequence[Tensor]:
        """Turn the backbone's outputs (B×C×H×W each) for an image batch (B×3×H×W) into maps of the same shapes."""
        return features

    @property
    def reads_taps_alone(self) -> bool:
        """Whether all that it sees of the backbone is its outputs and its tapped blocks."""
        return len(self._hook_places) == len(self.tapped_blocks)

    @property
    def can_merge(self) -> bool:
        """Whether :meth:`merge` can fold what was trained into the backbone's own parameters."""
        return not any(True for _ in self.parameters()) or type(self).merge is not TuningMethod.merge

    def merge(self, backbone: nn.Module) -> None:
        """Fold what was trained into the backbone's own parameters, in place, so that the backbone alone computes what
        the tuned one did.

        Raises:
            ValueError: no parameters of the backbone can do what this method does.
        """
        if not self.can_merge:
            raise ValueError(
                f'{type(self).__name__} cannot be merged: what it adds is not linear in what it reads, or '
                'lies beside the backbone, so no weights of the plain backbone compute the same.'
            )
