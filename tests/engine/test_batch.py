"""The batch that fits into the memory that is free."""

import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger

from mmest.engine import batch


@pytest.fixture
def machine(monkeypatch):
    """A machine without a GPU, with some free memory, and a model of so many bytes an image of 64×64."""

    def make(free: int, image: int) -> None:
        monkeypatch.setattr(batch.torch.cuda, 'is_available', lambda: False)
        monkeypatch.setattr(batch, '_free_of_the_machine', lambda: free)

        def planner(cfg, budget, size, most):
            assert MMLogger.get_current_instance().level >= 40  # quiet
            return min(budget // (image * size[0] * size[1] // 64**2), most)

        monkeypatch.setattr(batch, 'largest_batch_within', planner)

    return make


def test_most_of_the_free_memory_is_used(machine):
    machine(free=10 * 2**30, image=3 * 2**30)
    number, said = batch.largest_batch(Config(), 50)
    assert number == 2
    assert said == 'a batch of 2 fits into 80% of the free 10.0 GiB, by the planner'


def test_a_cpu_takes_no_more_than_four(machine):
    machine(free=2**40, image=1)
    assert batch.largest_batch(Config(), 64)[0] == 4


def test_processes_of_one_machine_share_its_memory(machine, monkeypatch):
    machine(free=12 * 2**30, image=2**30)
    monkeypatch.setenv('LOCAL_WORLD_SIZE', '4')
    assert batch.largest_batch(Config(), 64)[0] == 2


def test_too_little_memory_is_said(machine):
    machine(free=2**30, image=2**30)
    with pytest.raises(ValueError, match='no batch of 128×128 images fits into 80% of the free 1.0 GiB'):
        batch.largest_batch(Config(), 100)


def test_free_memory_is_that_of_the_machine():
    assert 2**26 < batch._free_of_the_machine() < 2**46
