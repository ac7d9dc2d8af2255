"""The way of a side network's state along the blocks of a backbone: in which order, and which of them it reads."""

from dataclasses import dataclass, replace

from mmest.anatomy.blocks import Anatomy, Block


@dataclass(frozen=True)
class Way:
    """Blocks in the order in which a state passes them.

    Attributes:
        blocks: by their index in the backbone; those behind which nothing is corrected are left out. Their stages are
            those of the way.
        feeding: for each output the block behind which the state corrects it; None for one from in front of all blocks.
    """

    blocks: dict[int, Block]
    feeding: tuple[int | None, ...]

    @property
    def stage_ends(self) -> set[int]:
        """Indices of the blocks that feed an output, and of the last block of every stage in front of them."""
        indices = list(self.blocks)
        feeding = {i for i in self.feeding if i is not None}
        return feeding | {i for i, j in zip(indices, indices[1:]) if self.blocks[i].stage != self.blocks[j].stage}


def find_rise(anatomy: Anatomy) -> str | None:
    """Where the resolution of the blocks first rises, in words; None if it never does."""
    for last, block in zip(anatomy.used, anatomy.used[1:]):
        if any(before < after for before, after in zip(last.size, block.size)):
            return (
                f'rises from {last.size[0]}×{last.size[1]} behind block "{last.name}" to {block.size[0]}×'
                f'{block.size[1]} behind "{block.name}"'
            )
    return None


def way_of(anatomy: Anatomy) -> Way:
    """The order in which the blocks run, up to the last that feeds an output. Where their resolution rises (parallel
    branches, as HRNet's) the finest come first and the coarsest last, those of one resolution in the order in which
    they run, for a state is carried to equal or lower resolutions. An output is then corrected where the state has its
    resolution, if one of the blocks that feed it has.
    """
    used = anatomy.used
    if find_rise(anatomy) is None:
        return Way(dict(enumerate(used)), tuple(output.block for output in anatomy.outputs))
    order = sorted(range(len(used)), key=lambda i: (-used[i].size[0] * used[i].size[1], i))
    place = {i: n for n, i in enumerate(order)}
    feeding = tuple(
        max(output.sources, key=lambda i: (used[i].size == output.size, place[i]), default=None)
        for output in anatomy.outputs
    )
    blocks: dict[int, Block] = {}
    stage, last = -1, None
    for i in order[: 1 + max(place[i] for i in feeding if i is not None)]:
        kind = used[i].channels, used[i].size
        stage, last = stage + (kind != last), kind
        blocks[i] = replace(used[i], stage=stage)
    return Way(blocks, feeding)


def choose_taps(way: Way, density: str | int) -> list[int]:
    """Indices of the blocks to tap, in the order of the way.

    ``block`` takes all. The others take none that works at a finer resolution than every output: large maps that no
    output asks for. Of the rest the last block of every stage and the block behind every output are always among them;
    ``stage`` takes no others, a number n every n-th, counted back from those.

    Raises:
        ValueError: the density is none of these.
    """
    if density not in ('block', 'stage') and not (isinstance(density, int) and density >= 1):
        raise ValueError(
            f"taps should be 'block', 'stage' or a number n >= 1 (every n-th block), but it is {density!r}."
        )
    if density == 'block':
        return list(way.blocks)
    finest = max(way.blocks[i].size for i in way.feeding if i is not None)
    step = density if isinstance(density, int) else len(way.blocks)
    ends, taps, behind = way.stage_ends, [], 0
    for i in reversed(way.blocks):
        behind = 0 if i in ends else behind + 1
        if way.blocks[i].size <= finest and behind % step == 0:
            taps.append(i)
    return taps[::-1]
