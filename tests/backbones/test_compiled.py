"""A compiled frozen part: the same maps, keys and copies, and a size at a time."""

import copy

import pytest
import torch
from mmengine.registry import MODELS
from toy import BACKBONES, METHODS, SHALLOW, SIDE, build, image

from mmest.backbones.compiled import MOST_SIZES
from mmest.measure.memory.live import LiveTensorCounter


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    """Backends take minutes; what is traced, and when, does not depend on them. Gives the sizes that were compiled."""
    torch._dynamo.reset()
    made, compile = [], torch.nn.Module.compile

    def backend(graph, inputs):
        made.append(next(tuple(x.shape) for x in inputs if x.ndim == 4 and x.shape[1] == 3 and x.shape[-1] > 8))
        return graph

    monkeypatch.setattr(torch.nn.Module, 'compile', lambda self, **more: compile(self, **dict(backend=backend) | more))
    yield made
    torch._dynamo.reset()


def compiled(name, method):
    tuned = build(name, METHODS[method], **SHALLOW[name])
    for p in tuned.method.parameters():
        p.data.add_(0.1 * torch.rand_like(p))
    twin = copy.deepcopy(tuned)
    twin.compiled = type(tuned.compiled)(True)
    return tuned.train(), twin.train()


@pytest.mark.parametrize('name, method', [('resnet', 'est'), ('swin', 'est'), ('resnet', 'frozen')])
def test_maps_gradients_and_keys_are_the_same(name, method, programs):
    plain, twin = compiled(name, method)
    for _ in range(2):
        expected, found = plain(image()), twin(image())
        for a, b in zip(expected, found):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    assert programs == [(2, 3, 64, 64)], 'one whole program, used twice'
    assert plain.state_dict().keys() == twin.state_dict().keys()
    assert all(torch.equal(a, b) for a, b in zip(plain.state_dict().values(), twin.state_dict().values()))
    if method != 'frozen':
        for maps in (expected, found):
            torch.autograd.backward([f.square().mean() for f in maps])
        for (key, a), b in zip(plain.method.named_parameters(), twin.method.parameters()):
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-3, atol=1e-6, msg=key)
        assert not any(p.grad is not None for p in twin.backbone.parameters())


def test_the_first_sizes_are_compiled_and_others_run_as_they_are(programs, capsys):
    plain, twin = compiled('resnet', 'frozen')
    sizes = [(64, 32 * i) for i in range(2, 2 + MOST_SIZES + 2)]
    for size in sizes * 2:
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(plain(image(*size)), twin(image(*size))))
    assert programs == [(2, 3, *size) for size in sizes[:MOST_SIZES]]
    assert capsys.readouterr().out.count('and further ones run as without') == 1


def test_evaluation_and_counts_run_as_they_are(programs):
    _, twin = compiled('swin', 'est')
    twin.eval()
    twin(image())
    with LiveTensorCounter() as counter:
        twin.train()(image())
    assert programs == [] and counter.peak.total > 0


def test_two_methods_on_one_kind_of_backbone(programs):
    """Each has a program with its own hooks."""
    for method in ('side_tuning', 'est'):
        plain, twin = compiled('resnet', method)
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(plain(image()), twin(image())))
    assert len(programs) == 2


def test_copies_compile_by_themselves(programs):
    _, twin = compiled('swin', 'est')
    expected = twin(image())
    other = copy.deepcopy(twin)
    with torch.no_grad():
        for p in twin.backbone.parameters():
            p.zero_()
    twin(image())
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(expected, other(image())))


@pytest.mark.parametrize('method', [name for name in METHODS if name not in (*SIDE, 'frozen')])
def test_methods_inside_the_backbone_are_refused(method):
    config = dict(type='TunedBackbone', backbone=dict(BACKBONES['swin']), tuning=METHODS[method], compile=True)
    with pytest.raises(ValueError, match='compile=True is for backbones frozen whole, but'):
        MODELS.build(config)


def test_what_cannot_be_compiled_is_said(monkeypatch):
    def broken(graph, inputs):
        raise OSError('no compiler')

    _, twin = compiled('resnet', 'est')
    compile = torch.nn.Module.compile
    monkeypatch.setattr(torch.nn.Module, 'compile', lambda self, **more: compile(self, **dict(more, backend=broken)))
    with pytest.raises(RuntimeError, match='ResNet cannot be compiled: .*Leave out model.backbone.compile'):
        twin(image())
