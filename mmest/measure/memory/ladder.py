"""The ladder of memory: from full fine-tuning down to all levers, and what a user would take instead on the way."""

from typing import NamedTuple

from mmengine.config import Config

from mmest.configs import load_tuning
from mmest.levers import LOWEST
from mmest.measure.ready import with_method

from .compare import FULL

_BLOCKS = 'blocks_recomputed'
_PARTIAL = (3, 2)  # blocks that train


class Rung(NamedTuple):
    """A row of the ladder: the config of a method, and the levers that are on."""

    tuning: dict
    memory: list[str]


def ladder(cfg: Config) -> dict[str, Rung]:
    """Rungs by name: Full, with recomputed blocks, Partial with three and two blocks, Frozen, EST, EST with each lever
    added in turn, and beside that Full with all levers.

    Args:
        cfg: a config of mmdet or mmseg with a backbone. Its own method and levers do not count.
    """
    full, est = load_tuning(FULL), load_tuning('est')
    rungs = {FULL: Rung(full, [])}
    of_full = _lowest(cfg, full)
    if _BLOCKS in of_full:
        rungs[f'{FULL}, {_BLOCKS}'] = Rung(full, [_BLOCKS])
    for blocks in _PARTIAL:
        rungs[f'partial, {blocks} blocks'] = Rung(dict(load_tuning('partial'), blocks=blocks), [])
    rungs['frozen'] = Rung(load_tuning('frozen'), [])
    rungs['est'] = Rung(est, [])
    on: list[str] = []
    for name in _lowest(cfg, est):
        on = [*on, name]
        rungs[f'+ {name}'] = Rung(est, on)
    rungs[f'{FULL}, {LOWEST}'] = Rung(full, of_full)
    return rungs


def _lowest(cfg: Config, tuning: dict) -> list[str]:
    """The levers that ``lowest`` turns on under a method."""
    return list(with_method(cfg, tuning, [LOWEST]).memory)
