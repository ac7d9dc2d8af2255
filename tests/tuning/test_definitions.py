"""Methods inside the backbone against a few lines written from their formulas, with weights drawn at random."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from torch import nn
from toy import BACKBONES, GATED, METHODS, TWO_A_STAGE, build, image, images, randomised

from mmest.anatomy.blocks import find_anatomy
from mmest.tuning.adapter import Bottleneck
from mmest.tuning.adaptformer import ScaledBottleneck
from mmest.tuning.convpass import ConvBottleneck
from mmest.tuning.lora import LoRA, LowRankUpdate
from mmest.tuning.lorand import LowRankAdapter
from mmest.tuning.mona import MultiCognitiveAdapter
from mmest.tuning.selective import BitFit
from mmest.tuning.ssf import ScaleShift

X = torch.randn(2, 5, 7, 12, generator=torch.Generator().manual_seed(1))


def test_adapter():
    m = randomised(Bottleneck(12, 4))
    wanted = F.gelu(X @ m.down.weight.T + m.down.bias) @ m.up.weight.T + m.up.bias
    torch.testing.assert_close(m(X), wanted)


def test_adaptformer():
    m = randomised(ScaledBottleneck(12, 4, 0.1, 0.1))
    wanted = 0.1 * (torch.clamp(X @ m.down.weight.T + m.down.bias, min=0) @ m.up.weight.T + m.up.bias)
    torch.testing.assert_close(m(X), wanted)
    m.train()
    assert not torch.equal(m(X), m(X)), 'dropout acts in training'


def test_convpass():
    m = randomised(ConvBottleneck(12, 4, 2.0, 0.1))
    y = X @ m.down.weight.T + m.down.bias
    y = images(y / (1 + torch.exp(-1.702 * y)))
    y = F.conv2d(F.pad(y, (1, 1, 1, 1)), m.conv.weight, m.conv.bias).permute(0, 2, 3, 1)
    wanted = 2 * ((y / (1 + torch.exp(-1.702 * y))) @ m.up.weight.T + m.up.bias)
    torch.testing.assert_close(m(X), wanted)
    start = ConvBottleneck(12, 4, 1.0, 0.0)
    y = images(torch.randn(1, 3, 3, 4))
    torch.testing.assert_close(start.conv(y), y)


def test_lorand():
    m = randomised(LowRankAdapter(12, 3, branches=2, rank=5))

    def weight(p):
        return sum(p.a[b] @ p.g[b] @ p.b[b] for b in range(2))

    assert weight(m.down).shape == (12, 4) and weight(m.up).shape == (4, 12)
    torch.testing.assert_close(m(X), F.gelu(X @ weight(m.down) + m.down.bias) @ weight(m.up) + m.up.bias)


def test_mona():
    m = randomised(MultiCognitiveAdapter(12, 4, 0.1))
    normal = (X - X.mean(-1, keepdim=True)) / torch.sqrt(X.var(-1, keepdim=True, unbiased=False) + 1e-5)
    z = m.gamma * (normal * m.norm.weight + m.norm.bias) + m.gamma_x * X
    y = images(z @ m.down.weight.T + m.down.bias)
    kernels = [F.conv2d(y, f.weight, f.bias, padding=k // 2, groups=4) for k, f in zip((3, 5, 7), m.filters)]
    v = y + sum(kernels) / 3
    v = v + F.conv2d(v, m.mix.weight, m.mix.bias)
    wanted = F.gelu(v.permute(0, 2, 3, 1)) @ m.up.weight.T + m.up.bias
    torch.testing.assert_close(m(X), wanted)
    start = MultiCognitiveAdapter(12, 4, 0.1)
    assert torch.all(start.gamma == 1e-6) and torch.all(start.gamma_x == 1)


@pytest.mark.parametrize(
    'layer',
    [
        nn.Linear(12, 6),
        nn.Conv2d(12, 6, 3, stride=2, padding=1),
        nn.Conv2d(12, 6, 3, dilation=2, padding=2, bias=False),
    ],
    ids=['linear', 'conv', 'dilated'],
)
def test_lora_is_a_change_of_the_weight(layer):
    update = randomised(LowRankUpdate(layer.weight, 3, 0.5))
    x = X if isinstance(layer, nn.Linear) else images(X)
    found = layer(x) + update(layer, x)
    delta = 0.5 * torch.einsum('or,r...->o...', update.b, update.a)
    torch.testing.assert_close(update.delta(), delta)
    with torch.no_grad():
        layer.weight.add_(delta)
    torch.testing.assert_close(found, layer(x))


def test_lora_changes_a_convolution_where_that_costs_less():
    """Of 3 channels with rank 16, A and B are larger than the weight; of 512 they are far smaller."""
    narrow, wide = nn.Conv2d(3, 8, 1), nn.Conv2d(512, 512, 3)
    assert not LowRankUpdate(narrow.weight, 16, 1).pays_beside(narrow)
    assert LowRankUpdate(wide.weight, 16, 1).pays_beside(wide)


@pytest.mark.parametrize('rank', [1, 16])
def test_lora_learns_the_same_either_way(rank, monkeypatch):
    """Inside the convolutions or beside them: outputs and gradients."""

    def run(beside: bool):
        monkeypatch.setattr(LowRankUpdate, 'pays_beside', lambda *_: beside)
        torch.manual_seed(0)
        tuned = randomised(build('resnet', dict(type='LoRA', rank=rank))).train().double()
        outputs = tuned(image().double())
        sum(x.square().mean() for x in outputs).backward()
        return [*outputs, *(p.grad for p in tuned.method.parameters())]

    torch.testing.assert_close(run(True), run(False))


@pytest.mark.parametrize('dim', [1, -1])
def test_ssf(dim):
    m = randomised(ScaleShift(12, dim, True))
    x = X if dim == -1 else images(X)
    wanted = torch.stack([x.select(dim, c) * m.gamma[c] + m.beta[c] for c in range(12)], dim)
    torch.testing.assert_close(m(x), wanted)


def swin_with(method: str):
    tuned = build('swin', METHODS[method])
    randomised(tuned.method)
    return tuned.eval()


def run_block(tuned, after_attention, after_mlp, beside_attention=None, beside_mlp=None):
    """The first Swin block by hand, with corrections at the places that the papers draw."""
    block = tuned.backbone.stages[0].blocks[0]
    x, hw = tuned.backbone.patch_embed(image())
    got = block(x, hw)
    bare = []
    for module in tuned.backbone.modules():  # the same layers, without what the method hooked to them
        bare.append((module, module._forward_hooks, module.__dict__.pop('forward', None)))
        module._forward_hooks = type(module._forward_hooks)()
    try:
        a = block.attn(block.norm1(x), hw)
        a = after_attention(a, x, hw) + (beside_attention(block.norm1(x), hw) if beside_attention else 0)
        x = x + a
        f = block.ffn.layers(block.norm2(x))
        f = after_mlp(f, x, hw) + (beside_mlp(x, block.norm2(x), hw) if beside_mlp else 0)
        return got, x + f
    finally:
        for module, hooks, forward in bare:
            module._forward_hooks = hooks
            if forward is not None:
                module.forward = forward


def on_grid(module, tokens, hw):
    return module(tokens.unflatten(1, hw)).flatten(1, 2)


@pytest.mark.parametrize('method', ['adapter', 'lorand', 'mona', 'adaptformer', 'convpass'])
def test_places_in_a_transformer_block(method):
    tuned = swin_with(method)
    first, second = tuned.method.inserted[0], tuned.method.inserted[1]
    same = lambda result, stream, hw: result  # noqa: E731
    with torch.no_grad():
        tuned(image())  # so that the method has seen the image
        if method in ('adapter', 'lorand'):
            got, wanted = run_block(tuned, lambda r, x, hw: r + first(r), lambda r, x, hw: r + second(r))
        elif method == 'mona':
            got, wanted = run_block(
                tuned, lambda r, x, hw: r + on_grid(first, x + r, hw), lambda r, x, hw: r + on_grid(second, x + r, hw)
            )
        elif method == 'adaptformer':
            got, wanted = run_block(tuned, same, same, beside_mlp=lambda x, normal, hw: first(x))
        else:
            got, wanted = run_block(
                tuned,
                same,
                same,
                lambda normal, hw: on_grid(first, normal, hw),
                lambda x, normal, hw: on_grid(second, normal, hw),
            )
    torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize('method', ['adapter', 'lorand', 'mona', 'adaptformer', 'convpass'])
def test_corrections_of_blocks_that_normalise_their_branches_pass_no_norm(method):
    tuned = build('post_norm', METHODS[method])
    first = randomised(tuned.method).inserted[0]
    tuned.eval()
    block, hw = tuned.backbone.blocks[0], (8, 8)
    x = tuned.backbone.patch_embed(image()).flatten(2).transpose(1, 2)
    second = tuned.method.inserted[1 if method != 'adaptformer' else 0]
    plain = build('post_norm')
    plain.load_state_dict(tuned.backbone.state_dict())
    plain = plain.eval().blocks[0]
    seen = []
    block.register_forward_hook(lambda module, args, output: seen.append(output))
    with torch.no_grad():
        tuned(image())
        a = plain.norm1(plain.attn(x))
        a = (
            a
            + {
                'adapter': lambda: first(a),
                'lorand': lambda: first(a),
                'mona': lambda: on_grid(first, x + a, hw),
                'adaptformer': lambda: 0,
                'convpass': lambda: on_grid(first, x, hw),
            }[method]()
        )
        y = x + a
        f = plain.norm2(plain.mlp(y))
        f = (
            f
            + {
                'adapter': lambda: second(f),
                'lorand': lambda: second(f),
                'mona': lambda: on_grid(second, y + f, hw),
                'adaptformer': lambda: second(y),
                'convpass': lambda: on_grid(second, y, hw),
            }[method]()
        )
    torch.testing.assert_close(seen[0], y + f)


@pytest.mark.parametrize('method', ['adapter', 'lorand', 'mona', 'adaptformer', 'convpass'])
def test_corrections_pass_no_layer_scale_of_a_transformer_block(method):
    tuned, plain = build('beit', METHODS[method]), build('beit')
    for own in (p for block in tuned.backbone.layers for p in (block.gamma_1, block.gamma_2)):
        nn.init.uniform_(own, -0.5, 0.5)
    plain.load_state_dict(tuned.backbone.state_dict())
    plain.eval()
    tuned.eval()
    seen = []
    tuned.backbone.layers[0].register_forward_hook(lambda module, args, output: seen.append((args[0], output)))
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(tuned(image()), plain(image())))
        randomised(tuned.method)
        tuned(image())
        x, found = seen[-1]
        second = tuned.method.inserted[1 if method != 'adaptformer' else 0]
        first, block = tuned.method.inserted[0], plain.layers[0]

        def on_map(module, x):
            ones = module(x[:, :1][:, None])[:, 0]
            return torch.cat([ones, on_grid(module, x[:, 1:], (4, 4))], 1)

        def corrected(module, x, normal, r):
            return (
                r
                + {
                    'adapter': lambda: module(r),
                    'lorand': lambda: module(r),
                    'mona': lambda: on_map(module, x + r),
                    'adaptformer': lambda: module(x) if module is not None else 0,
                    'convpass': lambda: on_map(module, normal),
                }[method]()
            )

        normal = block.norm1(x)
        y = x + corrected(first if method != 'adaptformer' else None, x, normal, block.gamma_1 * block.attn(normal))
        normal = block.norm2(y)
        wanted = y + corrected(second, y, normal, block.gamma_2 * block.ffn(normal))
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize('method', ['adapter', 'lorand', 'mona', 'adaptformer', 'convpass'])
def test_places_in_a_convnext_block(method):
    tuned = build('convnext', METHODS[method])
    module = randomised(tuned.method).inserted[0]
    tuned.eval()
    plain = build('convnext')
    plain.load_state_dict(tuned.backbone.state_dict())
    plain = plain.eval().stages[0][0]
    seen = []
    tuned.backbone.stages[0][0].register_forward_hook(lambda module, args, output: seen.append(output))
    with torch.no_grad():
        tuned(image())
        x = tuned.backbone.downsample_layers[0](image())
        last = x.permute(0, 2, 3, 1)
        r = plain.pwconv2(F.gelu(plain.pwconv1(plain.norm(plain.dwconv(x).permute(0, 2, 3, 1)))))
        if method in ('adapter', 'lorand'):
            r = r + module(r)
        elif method in ('adaptformer', 'convpass'):
            r = r + module(last)
        wanted = last + plain.gamma * r
        wanted = wanted + module(wanted) if method == 'mona' else wanted
    torch.testing.assert_close(seen[0], images(wanted))


def test_targets_of_lora():
    def names(name, **arguments):
        stages = TWO_A_STAGE if name == 'swin' else {}
        return build(name, dict(type='LoRA', **arguments), **stages).method._names

    assert len(names('swin')) == 8 and all(name.endswith('qkv.weight') for name in names('swin'))
    assert len(names('swin', targets=['qkv', 'proj'])) == 16
    assert all('in_proj_weight' in name for name in names('vit'))
    assert names('vit', targets=r'layers\.0\..*') == [
        'layers.0.attn.attn.in_proj_weight',
        'layers.0.attn.attn.out_proj.weight',
        'layers.0.ffn.layers.0.0.weight',
        'layers.0.ffn.layers.1.weight',
    ]
    assert {name.split('.')[-2] for name in names('resnet')} == {'conv1', 'conv2', 'conv3'}
    assert names('resnet', targets=['conv2'])[0] == 'layer1.0.conv2.weight'
    with pytest.raises(
        ValueError, match=r"targets \['qkv'\] match no layer in the blocks of ResNet.*conv1, conv2, conv3"
    ):
        names('resnet', targets=['qkv'])


class GroupedBlock(nn.Module):
    def __init__(self, groups: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(8, 8, 3, padding=1, groups=4)
        self.conv2 = nn.Conv2d(8, 8, 1, groups=groups)

    def forward(self, x):
        return x + self.conv2(F.gelu(self.conv1(x)))


class Grouped(nn.Module):
    def __init__(self, groups: int) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 4, stride=4)
        self.blocks = nn.ModuleList(GroupedBlock(groups) for _ in range(2))

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = block(x)
        return (x,)


@pytest.mark.parametrize('alpha, scale', [(None, 1), (4, 1), (2, 0.5), (16, 4)])
def test_the_factor_of_lora_is_alpha_by_its_rank(alpha, scale):
    assert {update.scale for update in LoRA(Grouped(groups=1), rank=4, alpha=alpha).updates} == {scale}


class WithTable(nn.Module):
    """Adds a table of positions that is called a bias."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        self.position_bias = nn.Parameter(torch.zeros(8, 1))

    def forward(self, x):
        return x + self.conv2(F.gelu(self.conv1(x))) + self.position_bias[:, :, None]


def test_tables_that_are_called_biases_are_none():
    backbone = Grouped(groups=1)
    backbone.blocks = nn.ModuleList(WithTable() for _ in range(2))
    of_blocks = [f'blocks.{block}.conv{i}.bias' for block in (0, 1) for i in (1, 2)]
    assert BitFit(backbone).names == ['stem.bias', *of_blocks]


def test_lora_says_so_where_a_backbone_has_nothing_to_update():
    assert LoRA(Grouped(groups=1))._names == ['blocks.0.conv2.weight', 'blocks.1.conv2.weight']
    with pytest.raises(ValueError, match='LoRA: the blocks of Grouped have no linear layer, and no convolution'):
        LoRA(Grouped(groups=2))


@pytest.mark.parametrize('method', METHODS)
@pytest.mark.parametrize('name', GATED)
def test_blocks_with_a_gate_are_tuned_as_those_of_a_resnet(name, method):
    tuned, plain = build(name, METHODS[method]).eval(), build(name)
    plain.load_state_dict(tuned.backbone.state_dict())
    plain.eval()  # ResNet returns None from it
    with torch.no_grad():
        assert all(torch.equal(a, b) for a, b in zip(tuned(image()), plain(image())))
    if method in ('lora', 'steered_est'):
        convolutions = {f'{block.name}.conv{i}.weight' for block in find_anatomy(plain).blocks for i in (1, 3)}
        assert convolutions <= set(tuned.method._names)
    features = tuned.train()(image())
    if method != 'frozen':
        sum((f * torch.rand_like(f)).sum() for f in features).backward()
    assert all(p.grad is not None for p in tuned.parameters() if p.requires_grad)


@pytest.mark.parametrize('method', ['adapter', 'adaptformer', 'mona', 'lora', 'ssf'])
def test_recomputed_blocks_give_the_same_gradients(method):
    gradients = []
    for with_cp in (False, True):
        cfg = dict(BACKBONES['swin'], with_cp=with_cp, drop_path_rate=0.0)
        torch.manual_seed(0)
        tuned = MODELS.build(dict(type='TunedBackbone', backbone=cfg, tuning=dict(METHODS[method])))
        randomised(tuned.method)
        sum(f.square().mean() for f in tuned(image())).backward()
        gradients.append([p.grad for p in tuned.method.parameters()])
    for a, b in zip(*gradients):
        torch.testing.assert_close(a, b)
