"""Blocks that take all earlier features in a list, as those of DenseNet (Huang et al., CVPR 2017)."""

import pytest
import torch
from torch import Tensor, nn

import mmest
from mmest.anatomy.again import as_given
from mmest.anatomy.blocks import find_anatomy
from mmest.anatomy.branches import find_branches
from mmest.anatomy.probe import find_tensor
from mmest.levers.recomputing import recompute

GROWTH = 8


class DenseLayer(nn.Module):
    with_cp = False

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, 16, 1)
        self.norm2, self.conv2 = nn.BatchNorm2d(16), nn.Conv2d(16, GROWTH, 3, padding=1)

    def forward(self, features: list[Tensor]) -> Tensor:
        x = self.conv1(self.norm1(torch.cat(features, 1)).relu())
        return self.conv2(self.norm2(x).relu())


class Dense(nn.Module):
    def __init__(self, channels: int = 12) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, channels, 4, stride=4)
        self.layers = nn.ModuleDict({f'layer{i}': DenseLayer(channels + i * GROWTH) for i in range(3)})

    def forward(self, x: Tensor) -> list[Tensor]:
        features = [self.stem(x)]
        for layer in self.layers.values():
            features.append(layer(features))
        return [torch.cat(features, 1)]


def test_what_they_take_is_found():
    backbone = Dense()
    branches = find_branches(backbone, find_anatomy(backbone))
    assert [(b.name, b.input_channels_first, b.channels_first) for b in branches] == [
        (f'layers.layer{i}', True, True) for i in range(3)
    ]
    assert [w.name.rpartition('layer')[2] for b in branches for w in b.weights] == [
        f'{i}.conv{j}.weight' for i in range(3) for j in (1, 2)
    ]


@pytest.mark.parametrize('again', [False, True])
@pytest.mark.parametrize('method', ['Mona', 'LoRA', 'Adapter', 'SteeredEST'])
def test_methods_train_them(method, again):
    torch.manual_seed(0)
    backbone, image = Dense().eval(), torch.rand(2, 3, 64, 96)
    for layer in backbone.layers.values():
        layer.with_cp = again
    with torch.no_grad():
        expected = backbone(image)[0]
    tuned = mmest.tune(backbone, method).eval()
    assert torch.equal(tuned(image)[0], expected)
    tuned.train()(image)[0].square().mean().backward()
    assert all(p.grad is not None for p in tuned.parameters() if p.requires_grad)


def test_a_tensor_beside_a_list_comes_first():
    a, b = torch.zeros(1), torch.ones(1)
    assert find_tensor(([a], b)) is b
    assert find_tensor((None, [(), [a, b]])) is a
    assert find_tensor(([None], [])) is None


def test_blocks_that_run_again_take_the_list_as_it_was():
    torch.manual_seed(0)
    backbone, image, gradients = Dense().train(), torch.rand(2, 3, 64, 96), []
    for again in (False, True):
        if again:
            for layer in backbone.layers.values():
                recompute(layer)
        backbone(image)[0].square().mean().backward()
        gradients.append([p.grad.clone() for p in backbone.parameters()])
        backbone.zero_grad()
    assert all(torch.equal(a, b) for a, b in zip(*gradients))


def test_lists_inside_of_arguments_are_those_of_before():
    tensor = torch.zeros(1)
    inner = [tensor]
    kept = as_given(({'features': inner}, (inner, 3)))
    inner.append(tensor)
    assert [len(kept[0]['features']), len(kept[1][0]), kept[1][1]] == [1, 1, 3]
    assert kept[0]['features'][0] is tensor
