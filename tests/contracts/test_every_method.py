"""The contracts that every tuning method keeps on every backbone. A new method is found by itself."""

import copy
import functools

import pytest
import torch
from toy import BACKBONES, METHODS, SHALLOW, SIDE, build, image

from mmest.checkpoints.digests import changed, digests
from mmest.engine.optim import TrainableOptimWrapperConstructor

every_method = pytest.mark.parametrize('method', METHODS)
every_backbone = pytest.mark.parametrize('name', BACKBONES)


@pytest.fixture(scope='module')
def built(weights):
    """Each model of the contracts, built once: a test changes a copy, which costs a quarter of building and loading."""

    @functools.cache
    def get(name, method):
        torch.manual_seed(0)
        return build(name, METHODS[method], weights[name])

    return get


@pytest.fixture(scope='module')
def loaded(built):
    @functools.cache
    def get(name, method):
        model = copy.deepcopy(built(name, method))
        model.init_weights()
        return model

    return get


@pytest.fixture
def tuned(name, method, loaded):
    return copy.deepcopy(loaded(name, method))


@pytest.fixture(scope='module')
def plain(weights):
    """Each backbone by itself, with the same weights."""

    @functools.cache
    def get(name):
        model = build(name)
        state = torch.load(weights[name])['state_dict']
        model.load_state_dict({key[len('backbone.') :]: value for key, value in state.items()})
        model.eval()  # mmdet's Swin returns None from it
        return model

    return get


@pytest.fixture(scope='module')
def other_weights(weights, tmp_path_factory):
    """Files of other values, for each backbone and each prefix of its keys: the path and the values."""

    @functools.cache
    def get(name, outer):
        state = {
            key[len('backbone.') :]: value + 1 if value.is_floating_point() else value
            for key, value in torch.load(weights[name])['state_dict'].items()
        }
        path = tmp_path_factory.mktemp('layout') / 'other.pth'
        torch.save({outer + key: value for key, value in state.items()}, path)
        return path, state

    return get


def make_optimizer(model, **cfg):
    return TrainableOptimWrapperConstructor(dict(optimizer=dict(type='AdamW', lr=1e-2, weight_decay=0.1)), **cfg)(model)


def train(model, steps=2, amp=False):
    model.gain = torch.nn.Parameter(torch.ones(()))  # so that there is something to train beside a frozen backbone
    wrapper = make_optimizer(model)
    model.train()
    for i in range(steps):
        with torch.autocast('cpu', torch.bfloat16, enabled=amp):
            loss = model.gain * sum(f.float().square().mean() for f in model(image() + i))
        wrapper.update_params(loss)


@every_method
@every_backbone
class TestEveryMethod:
    def test_starts_where_the_frozen_backbone_is(self, name, method, tuned, plain):
        tuned.eval()
        reference = copy.deepcopy(plain(name))
        for p, own in zip(reference.parameters(), tuned.backbone.parameters()):
            p.requires_grad_(own.requires_grad)  # torch takes other kernels, with other rounding, where nothing trains
        for batch, *size in ((1, 64, 64), (2, 75, 101), (1, 33, 47)):
            with torch.no_grad():
                expected = reference(image(*size, batch=batch))
                found = tuned(image(*size, batch=batch))
            assert len(found) == len(expected)
            assert all(torch.equal(a, b) for a, b in zip(found, expected))

    def test_frozen_means_frozen(self, name, method, tuned):
        frozen = digests(tuned.frozen_state())
        everything = digests(tuned.state_dict().items())
        train(tuned)
        train(tuned, amp=True)
        assert not changed(frozen, digests(tuned.frozen_state()))
        after = {key: value for key, value in digests(tuned.state_dict().items()).items() if key != 'gain'}
        assert bool(changed(everything, after)) == (method != 'frozen')
        if method in SIDE or method == 'frozen':
            names = {key[len('backbone.') :] for key in everything if key.startswith('backbone.')}
            assert set(frozen) == names, 'a side method leaves nothing of the backbone unfrozen'

    def test_train_returns_self_and_keeps_what_is_frozen_in_eval_mode(self, name, method, tuned):
        assert tuned.train() is tuned and tuned.training
        trained = {id(p) for p in tuned.backbone.parameters() if p.requires_grad}
        for module in tuned.backbone.modules():
            own = list(module.parameters())
            if own and not any(id(p) in trained for p in own):
                assert not module.training
        assert not any(module.training for module in tuned.eval().modules())

    def test_every_trainable_parameter_gets_a_gradient(self, name, method, tuned):
        tuned.train()
        features = tuned(image())
        if not any(p.requires_grad for p in tuned.parameters()):
            assert not any(f.requires_grad for f in features)
            return
        sum((f * torch.rand_like(f)).sum() for f in features).backward()
        without = [key for key, p in tuned.named_parameters() if p.requires_grad and p.grad is None]
        assert not without, 'DDP would wait for these without find_unused_parameters'
        assert all(p.grad is None for p in tuned.parameters() if not p.requires_grad)

    def test_no_graph_enters_a_frozen_backbone(self, name, method, tuned):
        if method not in SIDE:
            pytest.skip('the graph of this method may enter the backbone')
        seen = []
        tuned.method.register_forward_pre_hook(lambda module, args: seen.append(args))
        tuned.train()(image().requires_grad_())
        features, taps, _ = seen[0]
        assert bool(taps) == bool(tuned.method.tapped_blocks)
        assert not any(tap.feature.requires_grad for tap in taps) and not any(
            feature.requires_grad for feature in features
        )
        for tap in taps:
            block = tuned.taps.blocks[tap.block]
            assert tap.stage == block.stage and tap.feature.shape[:2] == (2, block.channels)

    @pytest.mark.parametrize('outer', ['', 'backbone.', 'backbone.backbone.', 'module.backbone.'])
    def test_pretrained_files_of_every_layout_load(self, name, method, outer, built, other_weights):
        path, state = other_weights(name, outer)
        tuned = copy.deepcopy(built(name, method))
        tuned.backbone.init_cfg.checkpoint = str(path)
        tuned.init_weights()
        assert tuned.coverage.share == 1
        own = tuned.backbone.state_dict()
        assert all(torch.equal(own[key], value) for key, value in state.items())

    def test_ordinary_and_wrapped_checkpoints_load(self, name, method, loaded, other_weights):
        _, state = other_weights(name, '')
        for outer in ('', 'backbone.'):
            other = copy.deepcopy(loaded(name, method))
            lost = other.load_state_dict({outer + key: value for key, value in state.items()}, strict=False)
            assert not lost.unexpected_keys and all(key.startswith('method.') for key in lost.missing_keys)
            own = other.backbone.state_dict()
            assert all(torch.equal(own[key], value) for key, value in state.items())

    def test_keys_of_the_backbone_are_its_own(self, name, method, loaded, plain):
        assert list(loaded(name, method).backbone.state_dict()) == list(plain(name).state_dict())

    @pytest.mark.parametrize('paramwise', [None, dict(norm_decay_mult=0.0, bias_lr_mult=2.0)])
    def test_optimizer_holds_what_trains_and_nothing_else(self, name, method, tuned, paramwise):
        tuned.head = torch.nn.Linear(2, 2)
        groups = make_optimizer(tuned, paramwise_cfg=paramwise).optimizer.param_groups
        held = [id(p) for group in groups for p in group['params']]
        assert sorted(held) == sorted(id(p) for p in tuned.parameters() if p.requires_grad)
        options = [
            repr({key: value for key, value in g.items() if key not in ('params', 'initial_lr')}) for g in groups
        ]
        assert len(set(options)) == len(options), 'groups of equal options are merged'

    def test_a_copy_reads_its_own_blocks(self, name, method, tuned):
        twin = copy.deepcopy(tuned).eval()
        with torch.no_grad():
            for p in tuned.backbone.parameters():
                p.zero_()
        a = twin(image())
        tuned(image())
        assert all(torch.equal(x, y) for x, y in zip(a, twin(image())))

    def test_compiled_frozen_part_gives_the_same(self, name, method):
        if method not in SIDE:
            pytest.skip('for methods beside the backbone')
        tuned = build(name, METHODS[method], **SHALLOW[name]).eval()
        with torch.no_grad():
            for p in tuned.method.parameters():
                p.add_(torch.randn_like(p) * 0.1)
        expected = tuned(image())
        torch._dynamo.reset()  # torch does not look whether a backbone compiled before had the same hooks
        tuned.backbone.compile(backend='eager')
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(expected, tuned(image())))
        assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(expected, tuned(image())))
