"""Functions that run in several processes, as torchrun would start them."""

import multiprocessing
import os
import socket
import sys
import traceback
from collections.abc import Callable
from multiprocessing import forkserver
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

# What takes seconds to import is imported once, in the process that the others are forked from. There is one for all
# tests, whichever starts it: also where mmest says what its own processes need.
IMPORTED_ONCE = ['mmdet.datasets', 'mmdet.models', 'mmseg.datasets', 'mmseg.models', 'mmest', 'toy']
_preload = forkserver.set_forkserver_preload
forkserver.set_forkserver_preload = lambda names: _preload([*names, *IMPORTED_ONCE])
multiprocessing.set_forkserver_preload([])


def run_in_processes(function: Callable, processes: int, folder: Path, *args) -> None:
    """Call ``function(rank, *args)`` in so many processes, with the variables that torchrun sets."""
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        mp.start_processes(
            _call, (function, processes, port, folder, args), nprocs=processes, start_method='forkserver'
        )
    except Exception as error:
        raise AssertionError(''.join(p.read_text() for p in folder.glob('error*.txt'))) from error


def _call(rank: int, function: Callable, processes: int, port: int, folder: Path, args: tuple) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(processes),
        MASTER_ADDR='127.0.0.1',
        MASTER_PORT=str(port),
    )
    torch.set_num_threads(1)
    try:
        function(rank, *args)
    except Exception:
        (folder / f'error{rank}.txt').write_text(traceback.format_exc())
        raise
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
