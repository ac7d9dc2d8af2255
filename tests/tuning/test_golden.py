"""Every method with its default arguments against figures that are kept: a change of a definition is seen.

Weights, where the start does not matter, come from NumPy, and no figure needs more than four digits to agree, so
the figures hold for other versions of torch. Where a change is meant, write them anew, from the root of the project:

    PYTHONPATH=. python tests/tuning/test_golden.py [NAME ...]
"""

import json
import re
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))

import small_backbones  # noqa: F401
from mmengine.registry import MODELS, init_default_scope
from toy import METHODS, image

PATH = Path(__file__).with_name('golden.json')
BACKBONES = {
    'swin': dict(
        type='mmdet.SwinTransformer', embed_dims=16, depths=(2, 1, 1), num_heads=(1, 2, 2), window_size=4,
        strides=(4, 2, 2), out_indices=(0, 1, 2),
    ),  # fmt: skip
    'vit': dict(
        type='mmseg.VisionTransformer', img_size=64, embed_dims=32, num_layers=3, num_heads=2, out_indices=(1, 2),
        final_norm=True,
    ),  # fmt: skip
    'convnext': dict(type='SmallConvNeXt'),
    'resnet': dict(type='mmdet.ResNet', depth=18, base_channels=8, num_stages=3, strides=(1, 2, 2),
                   dilations=(1, 1, 1), out_indices=(1, 2)),
}  # fmt: skip


def draw(module: nn.Module, random: np.random.RandomState) -> None:
    """Give a module values from NumPy, around 1 what starts at 1."""
    with torch.no_grad():
        for p in (*module.parameters(), *(b for b in module.buffers() if b.is_floating_point())):
            noise = torch.from_numpy(np.asarray(random.randn(*p.shape))).to(p.dtype)
            fan_in = p[0].numel() if p.ndim > 1 else 1
            p.copy_(noise / fan_in**0.5 if fan_in > 1 else 0.1 * noise + bool((p == 1).all()))


def start(method: nn.Module) -> dict[str, list[float]]:
    """Least value, mean magnitude and greatest value at the start, over the tensors of each kind."""
    kinds = defaultdict(list)
    for name, p in method.named_parameters():
        kinds[re.sub(r'\d+', '*', name)].append(p.detach().flatten())
    found = {kind: torch.cat(tensors) for kind, tensors in kinds.items()}
    return {kind: [float(x) for x in (v.min(), v.abs().mean(), v.max())] for kind, v in found.items()}


def summary(x: Tensor) -> list[float]:
    """Mean, deviation and a product with fixed noise."""
    noise = torch.from_numpy(np.random.RandomState(7).randn(*x.shape)).to(x)
    return [float(v) for v in (x.mean(), x.std(), (x * noise).mean())]


def dropout_rates(tuned: nn.Module) -> list[float]:
    """The rates of dropout that act in training."""
    rates, dropout = set(), F.dropout

    def see(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
        if training and p:
            rates.add(p)
        return x

    F.dropout = see
    try:
        tuned.train()(image())
    finally:
        F.dropout = dropout
    return sorted(rates)


def figures(name: str, method: str) -> dict:
    """What is kept of a method on a backbone."""
    init_default_scope('mmdet')
    torch.manual_seed(0)
    tuned = MODELS.build(
        dict(type='TunedBackbone', backbone=dict(BACKBONES[name]), tuning=dict(type=METHODS[method]['type']))
    )
    found = dict(start=start(tuned.method), dropout=dropout_rates(tuned) if name != 'resnet' else [])
    draw(tuned.backbone, np.random.RandomState(1))
    draw(tuned.method, np.random.RandomState(2))
    for key, buffer in tuned.named_buffers():
        if key.endswith('running_var'):
            buffer.abs_().add_(1)
    features = tuned.eval()(image())
    trained = {key: p for key, p in tuned.named_parameters() if p.requires_grad}
    if trained:
        noise = [torch.from_numpy(np.random.RandomState(3).randn(*f.shape)).to(f) for f in features]
        sum((f * n).mean() for f, n in zip(features, noise)).backward()
    found.update(
        trained=sum(p.numel() for p in trained.values()),
        tensors=len(trained),
        outputs=[summary(f.detach()) for f in features],
        gradient=sum(float(p.grad.abs().sum()) for p in trained.values()),
    )
    return found


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('name', BACKBONES)
def test_figures_are_the_kept_ones(name, method):
    kept, found = json.loads(PATH.read_text())[name][method], figures(name, method)
    for key in ('trained', 'tensors', 'dropout'):
        assert found[key] == kept[key], key
    assert found['gradient'] == pytest.approx(kept['gradient'], rel=2e-3)
    assert len(found['outputs']) == len(kept['outputs'])
    for a, b in zip(found['outputs'], kept['outputs']):
        assert a == pytest.approx(b, rel=1e-3, abs=1e-5)
    assert found['start'].keys() == kept['start'].keys()
    for kind, (low, size, high) in found['start'].items():
        least, mean, greatest = kept['start'][kind]
        if least == greatest:
            assert (low, high) == pytest.approx((least, greatest)), f'{kind} starts at one value'
        else:  # drawn at random
            assert low < high and size == pytest.approx(mean, rel=0.5), f'{kind} starts at random'


def test_nothing_is_kept_that_is_no_more():
    kept = json.loads(PATH.read_text())
    assert list(kept) == list(BACKBONES) and all(list(kept[name]) == list(METHODS) for name in kept)


if __name__ == '__main__':
    wanted = sys.argv[1:] or list(METHODS)
    old = json.loads(PATH.read_text()) if PATH.is_file() else {}
    new = {
        name: {method: figures(name, method) if method in wanted else old[name][method] for method in METHODS}
        for name in BACKBONES
    }
    rounded = json.loads(json.dumps(new), parse_float=lambda text: float(f'{float(text):.6g}'))
    PATH.write_text(
        '{\n'
        + ',\n'.join(
            f' "{name}": {{\n' + ',\n'.join(f'  "{method}": {json.dumps(row)}' for method, row in rows.items()) + '\n }'
            for name, rows in rounded.items()
        )
        + '\n}\n'
    )
