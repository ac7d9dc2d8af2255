"""Whether one method, on one backbone, keeps what every method promises on every backbone."""

import copy
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import torch
from torch import Tensor, nn

from mmest.anatomy.probe import maps_of
from mmest.backbones.tuned_module import TunedModule
from mmest.checkpoints.digests import changed, digests
from mmest.engine.deltas import load_delta, save_delta, trainable_parameters
from mmest.tuning.selective import Full

WORKS, REFUSED, FAILS = 'works', 'refused', 'fails'

# Of the largest value of a map: what another order of sums makes of it.
_ROUNDING = 1e-4
_RATE = 1e-3

Size = tuple[int, int]  # height and width


class _Broken(Exception):
    """A promise that is not kept, in words."""


def verdict(backbone: nn.Module, tuning: dict, expected: Mapping[Size, list[Tensor]]) -> tuple[str, str | None]:
    """Tune a copy of a backbone by a method, train it for two steps, and look.

    It has to start at the plain backbone's maps; to give every trained parameter a finite gradient; to leave what is
    frozen bit for bit as it was, and to move the maps; and its delta, loaded into another copy, has to give the trained
    maps bit for bit.

    Args:
        backbone: the backbone, which stays as it is.
        tuning: ``dict(type=NAME, ...)`` of the method.
        expected: its maps, as of :func:`plain_maps`.

    Returns:
        One of :data:`WORKS`, :data:`REFUSED` and :data:`FAILS`, and the sentence that it refuses with or what failed.
    """
    try:
        tuned = TunedModule(copy.deepcopy(backbone), tuning)
    except ValueError as refusal:
        return REFUSED, str(refusal)
    except Exception as error:
        return FAILS, _in_words(error)
    try:
        found = {size: maps(tuned, size) for size in expected}
        for size in expected:
            _check_start(size, found[size], expected[size])
        size = next(iter(expected))
        _check_training(tuned, size, found[size])
        _check_delta(tuned, TunedModule(copy.deepcopy(backbone), tuning), size)
    except _Broken as broken:
        return FAILS, str(broken)
    except Exception as error:
        return FAILS, _in_words(error)
    return WORKS, None


def plain_maps(backbone: nn.Module, size: Size) -> dict[Size, list[Tensor]]:
    """A backbone's maps of images of a height and width, and of these exchanged where it takes them."""
    found = {size: maps(backbone, size)}
    with suppress(Exception):  # one that takes images of its own size alone
        found[size[1], size[0]] = maps(backbone, (size[1], size[0]))
    return found


def maps(backbone: nn.Module, size: Size) -> list[Tensor]:
    """A backbone's maps of a batch of two images, in eval mode and without a graph."""
    backbone.eval()
    image = _image(size)
    with torch.no_grad():
        return maps_of(backbone(image), image)


def _in_words(error: Exception) -> str:
    return f'{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}'


def _image(size: Size) -> Tensor:
    return torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))


def _check_start(size: Size, found: Sequence[Tensor], expected: Sequence[Tensor]) -> None:
    image = f'{size[0]}×{size[1]}'
    if [f.shape for f in found] != [e.shape for e in expected]:
        raise _Broken(f'for images of {image} it gives maps of other shapes than the plain backbone')
    for k, (f, e) in enumerate(zip(found, expected)):
        if f.numel() and not (f - e).abs().max() <= _ROUNDING * e.abs().max():
            raise _Broken(f'at the start, output {k} for images of {image} is not that of the plain backbone')


def _check_training(tuned: TunedModule, size: Size, before: Sequence[Tensor]) -> None:
    frozen = digests(tuned.frozen_state())
    trained = {name: p for name, p in tuned.named_parameters() if p.requires_grad}
    if trained:
        _train(tuned, trained, size)
    touched = changed(frozen, digests(tuned.frozen_state()))
    if touched:
        raise _Broken(f'{len(touched)} frozen tensors change, first {touched[0]}')
    after = maps(tuned, size)
    if not all(f.isfinite().all() for f in after):
        raise _Broken('two steps of training leave a map that is not finite')
    if trained and all(torch.equal(a, b) for a, b in zip(before, after)):
        raise _Broken('two steps of training move no map')


def _train(tuned: TunedModule, trained: dict[str, nn.Parameter], size: Size) -> None:
    optimizer = torch.optim.AdamW(trainable_parameters(tuned, lr=_RATE))
    tuned.train()
    for _ in range(2):
        optimizer.zero_grad()
        image = _image(size)
        sum((f * torch.rand_like(f)).mean() for f in maps_of(tuned(image), image)).backward()  # type: ignore[union-attr]
        # What a backbone has and never uses is Full's to keep.
        idle = [name for name, p in trained.items() if p.grad is None and not isinstance(tuned.method, Full)]
        if idle:
            raise _Broken(f'{len(idle)} trained parameters get no gradient, first {idle[0]}')
        endless = [name for name, p in trained.items() if p.grad is not None and not p.grad.isfinite().all()]
        if endless:
            raise _Broken(f'{len(endless)} gradients are not finite, first {endless[0]}')
        optimizer.step()


def _check_delta(tuned: TunedModule, other: TunedModule, size: Size) -> None:
    with tempfile.TemporaryDirectory() as folder:
        load_delta(other, save_delta(tuned, Path(folder) / 'delta.pth'))
    if not all(torch.equal(a, b) for a, b in zip(maps(tuned, size), maps(other, size))):
        raise _Broken('its delta, loaded into another copy, gives other maps')
