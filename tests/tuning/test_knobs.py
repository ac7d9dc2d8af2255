"""Arguments of tuning methods are checked before anything is built, for every method that is registered."""

import inspect
from collections.abc import Sequence
from typing import get_args, get_type_hints

import pytest
import toy
from torch import nn

from mmest.registry import TUNINGS
from mmest.tuning import TuningMethod, build_tuning
from mmest.tuning.knobs import check_knobs

SHIPPED = sorted(name for name, method in TUNINGS.module_dict.items() if method.__module__.startswith('mmest.'))
KNOBS = [
    (name, knob)
    for name in SHIPPED
    for knob in inspect.signature(TUNINGS.get(name).__init__).parameters
    if knob not in ('self', 'backbone')
]


def kinds(hint) -> set:
    """The plain types inside an annotation."""
    inner = [one for part in get_args(hint) for one in kinds(part)]
    return {hint, *inner} if isinstance(hint, type) else set(inner)


@pytest.mark.parametrize('name, knob', KNOBS)
def test_values_that_no_method_can_use(name, knob):
    method = TUNINGS.get(name)
    hints = kinds(get_type_hints(method.__init__, include_extras=True)[knob])
    assert hints & {int, float, bool, str}, 'every argument says what it takes'
    wrong = [dict(), object(), [], float('nan'), float('inf'), -4, 10**9]
    wrong += [] if str in hints else ['4']
    wrong += [] if bool in hints else [True]
    wrong += [0, 0.001, 2.5] if int in hints and float not in hints else []
    wrong += [1] if hints <= {bool} else []
    if hints & {str} and Sequence in hints:  # names, or patterns of names
        wrong += [[3]]
    for value in wrong:
        with pytest.raises(ValueError, match=rf'^{method.__name__}: {knob} should be '):
            build_tuning(dict(type=name, **{knob: value}), nn.Identity())


@pytest.mark.parametrize('name', SHIPPED)
def test_defaults_and_shipped_values_pass(name):
    method = TUNINGS.get(name)
    parameters = inspect.signature(method.__init__).parameters
    check_knobs(method, {knob: parameters[knob].default for of, knob in KNOBS if of == name})
    for cfg in toy.METHODS.values():
        if cfg['type'] == name:
            check_knobs(method, {knob: value for knob, value in cfg.items() if knob != 'type'})


@pytest.mark.parametrize(
    'cfg, sentence',
    [
        (dict(type='EST', reduction=-4), 'reduction should be a whole number from 1 to 8192 or None, but it is -4'),
        (dict(type='EST', tap=2), 'EST takes no argument "tap". Did you mean taps?'),
        (dict(type='LoRA', xyz=2), 'LoRA takes no argument "xyz". It takes rank, alpha, targets, lr_mult.'),
        (dict(type='DTL', kernel_size=4), 'a whole number from 1 to 63, odd, but it is 4'),
        (dict(type='EST', ratios=(1, 0)), 'a list, each a number from 0.25 to 8192'),
        (
            dict(type='Mona', dropout=1.0),
            'a number from 0 to 0.99, but it is 1.0. Correct it in model.backbone.tun',
        ),
    ],
)
def test_sentences(cfg, sentence):
    with pytest.raises(ValueError) as error:
        build_tuning(cfg, nn.Identity())
    assert sentence in str(error.value)


@pytest.fixture
def registered():
    """Registers methods for the time of a test."""
    names = []

    def register(kind):
        names.append(kind.__name__)
        TUNINGS.register_module(module=kind)
        return dict(type=kind.__name__)

    yield register
    for name in names:
        TUNINGS.module_dict.pop(name)


def test_a_method_has_to_derive_from_one(registered):
    class OfTorch(nn.Module):
        def __init__(self, backbone) -> None:
            super().__init__()

    def function(backbone):
        return backbone

    for kind in (OfTorch, function):
        with pytest.raises(ValueError, match=f'{kind.__name__} is registered .* does not derive from TuningMethod'):
            build_tuning(registered(kind), nn.Identity())


def test_an_argument_without_default_has_to_be_given(registered):
    class Needy(TuningMethod):
        trains = False

        def __init__(self, body, width, *more, rank: int, lr_mult: float = 1.0, **others) -> None:
            super().__init__(body, lr_mult)

    cfg = registered(Needy)
    with pytest.raises(ValueError, match='Needy needs the argument "width", which has no default'):
        build_tuning(cfg, nn.Identity())
    with pytest.raises(ValueError, match='Needy needs the argument "rank"'):
        build_tuning(dict(cfg, width=3), nn.Identity())
    assert isinstance(build_tuning(dict(cfg, width=3, rank=2), nn.Identity()), Needy)


def test_a_method_of_somebody_else_is_checked_by_its_annotations():
    class Mine:
        def __init__(self, backbone, width: int = 3, anything=None, **more) -> None:
            pass

    check_knobs(Mine, dict(width=5, anything=[], other=1))
    with pytest.raises(ValueError, match='width should be a whole number'):
        check_knobs(Mine, dict(width=0))
