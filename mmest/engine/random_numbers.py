"""Random numbers of the training that something beside it must not use up."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def untouched_random_numbers() -> Iterator[None]:
    """What is drawn on the CPU inside is drawn again afterwards."""
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):  # in a process that loads data, CUDA must not be asked
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
