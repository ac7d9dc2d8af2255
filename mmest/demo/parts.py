"""What the demo consists of."""

from dataclasses import dataclass

IMAGES = dict(source=dict(train=512, val=48), target=dict(train=96, val=64))
SIZE = 128
METHODS = dict(full='Full', frozen='Frozen', est='EST')
PRETRAIN_CONFIG = 'pretrain_fpn_swin'


@dataclass(frozen=True)
class Case:
    """A head on the frozen backbone, on the target domain.

    Attributes:
        name: folder of its runs.
        head: first part of the names of its configs.
        title: in words.
        reads: what the head is given, as the beginning of a sentence.
        gain: whether a side network is expected to matter.
        why: what is behind that, as the end of the sentence; said where the runs agree.
    """

    name: str
    head: str
    title: str
    reads: str
    gain: bool
    why: str

    def config(self, method: str) -> str:
        """Name of the config of a method."""
        return f'{self.head}_swin_{method}'


CASES = (
    Case(
        'one_map',
        'fcn',
        'one coarse map',
        'the head reads one map of stride 16',
        True,
        'what finer blocks see reaches it through the side network alone',
    ),
    Case(
        'four_maps',
        'fpn',
        'four maps',
        'the head reads the maps of all four stages',
        False,
        'what a side network could bring from finer blocks it has already',
    ),
)
