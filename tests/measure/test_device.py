"""Devices that are not there, and memory that does not suffice, end every command in a sentence."""

from types import SimpleNamespace

import pytest
import torch

from mmest.cli import main, memory, predict
from mmest.measure.device import memory_shortage, usable_device

NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason='there is a GPU')


def test_the_cpu_is_always_there():
    assert usable_device('cpu') == 'cpu'
    assert usable_device() in ('cpu', 'cuda:0')


@NO_GPU
@pytest.mark.parametrize('name', ['cuda', 'cuda:0', 'cuda:7'])
def test_no_gpu(name):
    with pytest.raises(ValueError, match=f'^--device {name} needs a CUDA device, and torch finds none'):
        usable_device(name)


def test_a_card_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    assert usable_device('cuda:1') == 'cuda:1'
    with pytest.raises(ValueError, match='--device cuda:2 is not there: this machine has 2 CUDA devices'):
        usable_device('cuda:2')


def test_what_is_no_device():
    with pytest.raises(ValueError, match='should be cpu, cuda or one card such as cuda:0, but it is "gpu"'):
        usable_device('gpu')


@NO_GPU
@pytest.mark.parametrize('words', [['memory', 'CONFIG', '--device', 'cuda'], ['time', 'CONFIG', '--device', 'cuda']])
def test_commands_without_a_gpu(words):
    from mmest.configs import configs_root

    config = next(configs_root().glob('detection/*/faster-rcnn*.py'))
    with pytest.raises(SystemExit) as end:
        main([str(config) if word == 'CONFIG' else word for word in words])
    assert str(end.value.code).startswith(f'{words[0]}: --device cuda needs a CUDA device')


SHORT = [MemoryError(), torch.OutOfMemoryError('CUDA out of memory'), RuntimeError("can't allocate memory")]


@pytest.mark.parametrize('error', SHORT)
@pytest.mark.parametrize('command, words', [(predict, ['m.pth', 'a.png']), (memory, ['c.py'])])
def test_too_little_memory(monkeypatch, error, command, words):
    def run(args):
        raise error

    monkeypatch.setattr(command, 'run', run)
    with pytest.raises(SystemExit) as end:
        main([command.__name__.rpartition('.')[2], *words])
    assert 'did not suffice. Take a smaller batch, size or tile' in str(end.value.code)


@pytest.mark.parametrize('error', [RuntimeError('shapes differ'), ValueError('out of memory'), KeyError('x')])
def test_other_errors_are_not_of_memory(error):
    assert memory_shortage(error) is None


@pytest.mark.parametrize(
    'text',
    [
        'CUDA out of memory. Tried to allocate 2.00 GiB.',
        'CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`',
        'cuDNN error: CUDNN_STATUS_ALLOC_FAILED',
        'cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED',
        'cusolver error: CUSOLVER_STATUS_ALLOC_FAILED, when calling `cusolverDnCreate(handle)`',
    ],
)
def test_the_card_is_named_whatever_found_it_full(monkeypatch, text):
    card = SimpleNamespace(total_memory=8 * 2**30, name='Card 8')
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: True)
    monkeypatch.setattr(torch.cuda, 'current_device', lambda: 0)
    monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda _: card)
    assert memory_shortage(RuntimeError(text)) == 'The 8 GiB of Card 8 did not suffice'
    assert memory_shortage(RuntimeError('cuDNN error: CUDNN_STATUS_EXECUTION_FAILED')) is None


def test_ctrl_c_ends_every_command_with_130(monkeypatch, capsys):
    def run(args):
        raise KeyboardInterrupt

    monkeypatch.setattr(memory, 'run', run)
    with pytest.raises(SystemExit) as end:
        main(['memory', 'c.py'])
    assert end.value.code == 130 and capsys.readouterr().err == 'memory: interrupted.\n'
