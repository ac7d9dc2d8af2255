"""The cells that measure a training step: times of methods that take turns, and the largest batch."""

import weakref
from types import SimpleNamespace

import pytest
import torch
from cell_requests import FPN, request

from mmest.benchmark import training_step
from mmest.benchmark.config_text import config_text
from mmest.benchmark.grid import expanded, with_config
from mmest.benchmark.training_step import largest_batch, measure_time
from mmest.measure.ready import prepare


def test_methods_that_cannot_train_do_not_stop_the_times_of_others(tmp_path):
    text, _ = config_text(FPN, {}, 'frozen', ('default_scope', 'model', 'optim_wrapper'))
    # The file may have changed, or gone, since the grid was read: what the record says is what runs.
    asked = dict(
        request(config='gone.py', config_text=text),
        tunings=dict(frozen=dict(type='Frozen'), full=dict(type='Fool')),
        steps=3,
    )
    result = measure_time(asked, tmp_path)
    assert len(result['seconds']['frozen']) == 3 and 'Fool' in result['failures']['full']


@pytest.mark.parametrize('full', [True, False])
def test_a_variant_is_timed_beside_plain_full_fine_tuning(full, tmp_path, monkeypatch):
    entry = dict(
        configs=[FPN],
        tunings=['est', 'frozen'],
        sizes=[(32, 32)],
        steps=2,
        variant='small',
        options={'model.decode_head.channels': 8},
    )
    (cell,) = (with_config(cell) for cell in expanded(dict(time=[entry]), 'grid.py'))
    (plain,) = (with_config(cell) for cell in expanded(dict(time=[dict(entry, variant='', options={})]), 'grid.py'))
    assert 'full_config_text' not in plain.request
    widths = {}

    def noting(cfg, tuning, *args):
        widths.setdefault(tuning['type'], cfg.model.decode_head.channels)
        if tuning['type'] == 'Full' and not full:
            raise RuntimeError('Out of memory')
        return prepare(cfg, tuning, *args)

    monkeypatch.setattr(training_step, 'prepare', noting)
    result = measure_time(cell.request, tmp_path)
    assert widths['EST'] == widths['Frozen'] == 8 != widths['Full']
    assert {name: len(seconds) for name, seconds in result['seconds'].items()} == dict(est=2, frozen=2)
    assert len(result.get('full_seconds', [])) == (2 if full else 0) and not result['failures']


def test_what_a_method_that_failed_had_is_given_back_to_the_card(monkeypatch, tmp_path):
    made, alive = [], []

    def fail(*_):
        activations = torch.zeros(3)
        made.append(weakref.ref(activations))
        raise torch.OutOfMemoryError('CUDA out of memory')

    monkeypatch.setattr(training_step, 'config_of_cell', lambda _: None)
    monkeypatch.setattr(training_step, 'prepare', fail)
    monkeypatch.setattr(torch.cuda, 'empty_cache', lambda: alive.append(made[-1]() is not None))
    with pytest.raises(RuntimeError, match='None of the methods trains'):
        measure_time(request(tunings=dict(est=dict(type='EST'), full=dict(type='Full')), steps=1), tmp_path)
    assert alive == [False, False]


@pytest.mark.parametrize('most', [0, 1, 2, 3, 7, 8, 21])
def test_the_largest_batch_is_found_in_few_trials(most):
    trials = []

    def fits(batch_size):
        trials.append(batch_size)
        return batch_size <= most

    assert largest_batch(fits) == most
    assert len(trials) == len(set(trials)) <= 2 * max(most, 1).bit_length() + 1


@pytest.fixture
def card(monkeypatch):
    """A card of 2 GiB, and steps that are to be set."""
    for name, stand_in in dict(
        config_of_cell=lambda _: None,
        prepare=lambda *_: (None, None),
        synthetic_batch=lambda model, size, batch: batch,
    ).items():
        monkeypatch.setattr(training_step, name, stand_in)
    for name, value in dict(is_available=True, mem_get_info=(0, 2**31), current_device=0).items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, value=value: value)
    card = SimpleNamespace(total_memory=2**31, name='Card 2')
    monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda _: card)
    monkeypatch.setattr(torch.cuda, 'set_per_process_memory_fraction', lambda share: None)
    monkeypatch.setattr(torch.cuda, 'empty_cache', lambda: None)
    return request(device='cuda', budget_gib=1)


@pytest.mark.parametrize('text', ['CUDA out of memory.', 'CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `x`'])
def test_the_largest_batch_ends_at_whatever_says_that_the_card_is_full(card, monkeypatch, tmp_path, text):
    def step(models, batch, **_):
        if batch > 5:
            raise RuntimeError(text)
        if batch == 5:
            raise RuntimeError('another error')

    monkeypatch.setattr(training_step, 'alternating_step_times', step)
    with pytest.raises(RuntimeError, match='another error'):
        training_step.measure_largest_batch(card, tmp_path)
    monkeypatch.setattr(training_step, 'synthetic_batch', lambda model, size, batch: batch + (batch > 3) * 9)
    assert training_step.measure_largest_batch(card, tmp_path) == dict(batch_size=3)


@pytest.mark.parametrize('most', [1, 2, 3])
def test_the_largest_batch_of_a_head_that_cannot_take_one_image(most, card, monkeypatch, tmp_path):
    norm = torch.nn.BatchNorm2d(2)

    def step(models, batch, **_):
        if batch > most:
            raise RuntimeError('CUDA out of memory.')
        norm(torch.randn(batch, 2, 1, 1))

    monkeypatch.setattr(training_step, 'alternating_step_times', step)
    assert training_step.measure_largest_batch(card, tmp_path) == dict(batch_size=most if most > 1 else 0)
    monkeypatch.setattr(training_step, 'alternating_step_times', lambda *_, **__: norm(torch.randn(1, 2)))
    with pytest.raises(ValueError, match='expected 4D input'):
        training_step.measure_largest_batch(card, tmp_path)
