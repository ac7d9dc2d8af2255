"""The cells that measure a training step on synthetic images: memory, times, the largest batch."""

from collections.abc import Callable
from pathlib import Path

import torch

from mmest.configs import config_from_text
from mmest.measure.batch_of_one import lone_values
from mmest.measure.device import memory_shortage
from mmest.measure.memory.compare import compare_tunings
from mmest.measure.ready import prepare
from mmest.measure.step_time import alternating_step_times
from mmest.measure.synthetic_batch import synthetic_batch

from .config_text import config_of_cell

WARM_UP = 3
_PLAIN_FULL = 'plain full fine-tuning'  # among methods, which have names without spaces


def measure_memory(request: dict, folder: Path) -> dict:
    """The live peak of one method, and what it is made of."""
    return compare_tunings(
        config_of_cell(request),
        {request['method']: request['tuning']},
        tuple(request['size']),
        request['batch_size'],
        request['device'],
        request['precision'],
    )


def measure_time(request: dict, folder: Path) -> dict:
    """The times of several methods, which take turns; of a variant with plain full fine-tuning. A method that cannot be
    built is left out and told of.
    """
    size, models, failures, batch = tuple(request['size']), {}, {}, None
    cfg = config_of_cell(request)
    asked = {name: (cfg, tuning) for name, tuning in request['tunings'].items()}
    if 'full_config_text' in request:
        plain = config_from_text(request['full_config_text'])
        asked[_PLAIN_FULL] = plain, plain.model.backbone.tuning
    for name, (cfg, tuning) in asked.items():
        try:
            model, optim_wrapper = prepare(cfg, tuning, size, request['device'], request['precision'])
            batch = batch or synthetic_batch(model, size, request['batch_size'])
            # A step here, so that a method that cannot train does not stop the others later.
            alternating_step_times({name: (model, optim_wrapper)}, batch, warm_up=0, steps=1)
            models[name] = model, optim_wrapper
        except Exception as error:  # of whatever method, user's ones included
            failures[name] = f'{type(error).__name__}: {error}'
            model = optim_wrapper = None
        if name in failures:
            torch.cuda.empty_cache()  # not above, where the error still has all that its step had
    failures.pop(_PLAIN_FULL, None)  # no method of this cell
    if not models.keys() - {_PLAIN_FULL}:
        raise RuntimeError(f'None of the methods trains: {failures}')
    seconds = alternating_step_times(models, batch, WARM_UP, request['steps'])
    full = dict(full_seconds=seconds.pop(_PLAIN_FULL)) if _PLAIN_FULL in seconds else {}
    return dict(seconds=seconds, failures=failures, **full)


def largest_batch(fits: Callable[[int], bool]) -> int:
    """The largest batch that fits: by doubling, then by halves in between; 0 if not even one image does. It begins with
    two, because some heads cannot take one.
    """
    low = 2
    if not fits(low):
        return int(fits(1))
    while fits(2 * low):
        low *= 2
    high = 2 * low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def measure_largest_batch(request: dict, folder: Path) -> dict:
    """How many images train on a card of so much memory: the allocator may take no more than the budget of this one."""
    device, size = torch.device('cuda'), tuple(request['size'])
    if request['device'] != 'cuda' or not torch.cuda.is_available():
        raise ValueError('The largest batch is found by running out of memory: it needs a CUDA device.')
    share = request['budget_gib'] * 2**30 / torch.cuda.mem_get_info(device)[1]
    if share > 1:
        raise ValueError(f'The card has less than {request["budget_gib"]} GiB.')
    torch.cuda.set_per_process_memory_fraction(share)
    cfg = config_of_cell(request)

    def fits(batch_size: int) -> bool:
        try:
            model, optim_wrapper = prepare(cfg, request['tuning'], size, 'cuda', request['precision'])
            batch = synthetic_batch(model, size, batch_size)
            alternating_step_times({'': (model, optim_wrapper)}, batch, warm_up=1, steps=1)
            return True
        except ValueError as error:
            if not lone_values(error):
                raise
            return False
        except RuntimeError as error:  # of torch's allocator, or of a library that takes memory beside it
            if memory_shortage(error) is None:
                raise
            return False
        finally:
            model = optim_wrapper = batch = None
            torch.cuda.empty_cache()

    return dict(batch_size=largest_batch(fits))
