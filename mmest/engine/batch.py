"""The largest batch that fits into the memory of this machine."""

import os

import torch
from mmengine.config import Config
from mmengine.dist import all_reduce, get_world_size
from mmengine.logging import MMLogger

from mmest.engine.launch import default_launcher, meet_processes
from mmest.measure.planner.plan import largest_batch_within

# Of the free memory; the rest is for the allocator's gaps, cuDNN's workspaces and what else runs.
_SHARE = 0.8
# Beyond this a step only takes longer: detectors loop over images, and a CPU is busy with few.
_MOST = dict(cuda=16, cpu=4)


def largest_batch(cfg: Config, side: int) -> tuple[int, str]:
    """How many square images of a side fit into a training step, by the planner. The processes of torchrun take the
    same number, for the one that has the least memory free.

    Args:
        cfg: a config of mmdet or mmseg that uses TunedBackbone.
        side: of the largest image of a batch, to which the others are padded, in pixels.

    Returns:
        The number of each process, at least 1 and at most 16 on a GPU and 4 on a CPU, and the sentence that says where
        it is from.

    Raises:
        ValueError: not even the smallest batch that the head can take fits.
    """
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    free = _free_of_each_process(cfg)
    side = -(-side // 32) * 32
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.setLevel('ERROR')  # it would list how every parameter is initialised
    try:
        batch = largest_batch_within(cfg, int(free * _SHARE), (side, side), _MOST[device])
    finally:
        logger.setLevel(level)
    each = ' of each process' if get_world_size() > 1 else ''
    if batch < 1:
        raise ValueError(
            f'--batch auto: no batch of {side}×{side} images fits into {_SHARE:.0%} of the free {free / 2**30:.1f} '
            f'GiB{each}. Choose a smaller --size, a lighter --backbone, or --tuning est or frozen.'
        )
    return batch, f'a batch of {batch} fits into {_SHARE:.0%} of the free {free / 2**30:.1f} GiB{each}, by the planner'


def _free_of_each_process(cfg: Config) -> int:
    """Bytes, the same in all processes of torchrun."""
    if default_launcher() == 'pytorch':
        meet_processes(cfg, 'pytorch')  # and each has its own GPU from here on
    if torch.cuda.is_available():
        free = torch.cuda.mem_get_info()[0]
    else:
        free = _free_of_the_machine() // int(os.environ.get('LOCAL_WORLD_SIZE', '1'))
    least = torch.tensor(free)
    all_reduce(least, op='min')
    return int(least)


def _free_of_the_machine() -> int:
    """Bytes that a process can have without swapping; where the system does not say, all free pages."""
    try:
        with open('/proc/meminfo') as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith('MemAvailable'))
    except OSError:
        return os.sysconf('SC_AVPHYS_PAGES') * os.sysconf('SC_PAGE_SIZE')
