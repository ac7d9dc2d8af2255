"""A delta knows nothing of what was compiled where it was written, and loads wherever else parts are compiled."""

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner, load_checkpoint
from small_backbones import SmallConvNeXt
from torch import nn
from toy import METHODS, runner_cfg

import mmest
from mmest.checkpoints.compiled_names import COMPILED
from mmest.checkpoints.delta import strip_frozen

PARTS = ['', 'head', 'head.0', 'backbone', 'backbone.backbone', 'backbone.backbone.stages.0.1', 'backbone.method']


@pytest.fixture(autouse=True)
def compiles_nothing():
    """What counts here are names; compiling takes long."""
    with torch.compiler.set_stance('force_eager'):
        yield


class Model(nn.Module):
    def __init__(self, frozen_dtype: str | None = None) -> None:
        super().__init__()
        backbone = SmallConvNeXt()
        with torch.no_grad():
            for i, p in enumerate(backbone.parameters()):
                p.copy_(torch.linspace(-0.1, 0.1 + 0.001 * i, p.numel()).view_as(p))
        self.backbone = mmest.tune(backbone, frozen_dtype=frozen_dtype)
        self.head = nn.Sequential(nn.Conv2d(16, 8, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 2, 1))

    def forward(self, x):
        return self.head(self.backbone(x)[-1])


def compiled(model: nn.Module, *parts: str) -> nn.Module:
    """The model with parts compiled, in the order given; those inside first."""
    for part in parts:
        if not part:
            return torch.compile(model, backend='eager')
        where, _, name = part.rpartition('.')
        owner = model.get_submodule(where)
        setattr(owner, name, torch.compile(getattr(owner, name), backend='eager'))
    return model


def trained(**options) -> Model:
    model = Model(**options)
    for p in model.parameters():
        if p.requires_grad:
            p.data.add_(0.1 * torch.rand_like(p))
    model.head[1].running_mean.add_(1)
    return model.eval()


@pytest.mark.parametrize('part', PARTS)
def test_a_delta_fits_whatever_is_compiled(part, tmp_path):
    model = trained()
    values = [value.clone() for value in model.state_dict().values()]
    plain = mmest.save_delta(model, tmp_path / 'plain.pth')
    written = mmest.save_delta(compiled(model, part), tmp_path / 'delta.pth')
    held = torch.load(written, weights_only=True)['state_dict']
    assert set(held) == set(torch.load(plain, weights_only=True)['state_dict'])
    others = [p for p in PARTS if p != part][:2]
    for file, other in [(plain, compiled(Model(), part)), *((written, compiled(Model(), p)) for p in others)]:
        names = list(other.state_dict())
        mmest.load_delta(other, file)
        assert list(other.state_dict()) == names and all(map(torch.equal, other.state_dict().values(), values))


def test_one_compiled_part_inside_another(tmp_path):
    model = compiled(trained(), 'backbone.backbone.stages.0.1', 'backbone.backbone', 'head.0', 'head', 'backbone')
    mmest.save_delta(model, tmp_path / 'delta.pth')
    other = mmest.load_delta(Model(), tmp_path / 'delta.pth')
    assert all(map(torch.equal, other.state_dict().values(), model.state_dict().values()))
    again = compiled(Model(), 'backbone.backbone.stages.0.1', 'backbone.backbone', 'backbone')
    mmest.load_delta(again, tmp_path / 'delta.pth')
    assert all(map(torch.equal, again.state_dict().values(), model.state_dict().values()))


@pytest.mark.parametrize('part', ['head', 'backbone', 'backbone.backbone.stages.0.1'])
def test_damage_is_found(part, tmp_path):
    mmest.save_delta(trained(), tmp_path / 'delta.pth')
    state = torch.load(tmp_path / 'delta.pth')['state_dict']
    for name in ('head.0.weight', next(name for name in state if name.startswith('backbone.method.'))):
        with pytest.raises(ValueError, match='0 are missing and 1 have other values'):
            compiled(Model(), part).load_state_dict({**state, name: state[name] + 1})
    model = compiled(trained(), part)
    next(
        p for name, p in model.named_parameters() if COMPILED in name and p.requires_grad or 'head' in name
    ).data += torch.nan
    with pytest.raises(ValueError, match='The model holds values that are no finite numbers'):
        mmest.save_delta(model, tmp_path / 'nan.pth')


def test_an_older_delta_has_names_of_compiled_parts(tmp_path):
    """Whose entry and digests have them too."""
    model = compiled(trained(), 'head', 'backbone')
    state = {key: value for key, value in model.state_dict().items() if '.backbone.' not in key}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr('mmest.checkpoints.delta.plain_name', lambda name: name)
        patch.setattr('mmest.checkpoints.delta.use_plain_names', lambda state: None)
        path, tuned = f'backbone.{COMPILED}', model.backbone._orig_mod
        checkpoint = dict(state_dict=model.state_dict())
        strip_frozen([(path, tuned)], checkpoint, {path: tuned.frozen_digests()})
    assert f'{path}.delta_info' in checkpoint['state_dict'] and set(state) < set(checkpoint['state_dict'])
    for parts in ((), ('head',), ('backbone',)):
        other = compiled(Model(), *parts)
        other.load_state_dict(checkpoint['state_dict'])
        assert all(map(torch.equal, other.state_dict().values(), model.state_dict().values()))


def test_what_is_rounded_is_that_of_the_file(tmp_path):
    model = compiled(trained(frozen_dtype='bf16'), 'backbone.backbone.stages.0.1', 'backbone.backbone')
    held = torch.load(mmest.save_delta(model, tmp_path / 'delta.pth'))['state_dict']
    assert not any(name.startswith('backbone.backbone.') for name in held)


class Compile(Hook):
    """Once the model has its weights, and before anything looks at them."""

    priority = 'VERY_HIGH'

    def __init__(self, part: str) -> None:
        self.part = part

    def before_train(self, runner) -> None:
        compiled(runner.model, self.part)


@pytest.mark.parametrize('part', ['backbone', 'backbone.backbone.stages.0', 'head.0'])
def test_a_runner_writes_and_reads_them(part, weights, tmp_path):
    def runner(folder):
        return Runner.from_cfg(runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path / folder, epochs=1))

    first = runner('first')
    first.register_hook(Compile(part))
    first.train()
    file = tmp_path / 'first' / 'epoch_1.pth'
    held = torch.load(file)['state_dict']
    assert not any(COMPILED in name or name.startswith('backbone.backbone.') for name in held)
    values = list(first.model.state_dict().values())
    plain, other = runner('second').model, compiled(runner('third').model, part)
    for model in (plain, other):
        load_checkpoint(model, str(file))
        assert all(map(torch.equal, model.state_dict().values(), values))
    ordinary = {name.replace('backbone.backbone.', 'backbone.'): v + 1 for name, v in plain.state_dict().items()}
    other.load_state_dict(ordinary)
    assert all(map(torch.equal, other.state_dict().values(), ordinary.values()))
