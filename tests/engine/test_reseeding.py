"""Random numbers of a training: no step, epoch, process or worker has those of another."""

from functools import partial
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import worker_init_fn

from mmest.engine import random_numbers
from mmest.engine.random_numbers import reseed_epoch, reseed_iteration, reseed_workers


@pytest.mark.parametrize(
    'reseed, draw', [(reseed_epoch, np.random.rand), (reseed_iteration, lambda: float(torch.rand(())))]
)
def test_every_process_has_its_own_at_every_time(monkeypatch, reseed, draw):
    def drawn(time: int, rank: int) -> float:
        monkeypatch.setattr(random_numbers, 'get_rank', lambda: rank)
        reseed(SimpleNamespace(seed=3, epoch=time, iter=time))
        return draw()

    cases = list(product((0, 1, 2, 7), (0, 1, 2)))
    found = [drawn(*case) for case in cases]
    assert len(set(found)) == len(cases) and found == [drawn(*case) for case in cases]


def test_every_worker_of_every_process_has_its_own_in_every_epoch():
    def drawn(epoch: int, rank: int, worker: int) -> float:
        start = partial(worker_init_fn, num_workers=2, rank=rank, seed=3, disable_subprocess_warning=True)
        loader = SimpleNamespace(worker_init_fn=start)
        reseed_workers(loader, 3, epoch)
        loader.worker_init_fn(worker)
        return np.random.rand()

    cases = list(product((0, 1, 2, 3, 4), (0, 1), (0, 1)))
    found = [drawn(*case) for case in cases]
    assert len(set(found)) == len(cases) and found == [drawn(*case) for case in cases]
