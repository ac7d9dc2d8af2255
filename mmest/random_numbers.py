"""Random numbers that are left as they were."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def untouched_random_numbers() -> Iterator[None]:
    """What is drawn on the CPU inside is drawn again afterwards. What runs inside should neither draw from nor seed a
    card's generator, which no one asks: torch would ask that of every card, with a warning where there are several, and
    cannot in a process that was forked to load data.
    """
    states = random.getstate(), np.random.get_state()
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])
