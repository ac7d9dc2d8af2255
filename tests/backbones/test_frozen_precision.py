"""Frozen weights in bfloat16 or in 8 bits: fewer bytes, the maps of mixed precision, and deltas as without."""

import shutil

import mmengine
import pytest
import torch
from mmengine.hooks import EMAHook
from mmengine.registry import MODELS
from mmengine.runner import Runner, load_checkpoint
from torch.optim.swa_utils import AveragedModel
from toy import BACKBONES, METHODS, SIDE, build, image, runner_cfg

import mmest
from mmest.backbones.eight_bits import pack, packed_in, unpack
from mmest.backbones.frozen_precision import FrozenPrecision
from mmest.checkpoints.delta import DELTA_KEY, decode_info
from mmest.checkpoints.digests import digests
from mmest.engine.export import export
from mmest.registry import TUNINGS

BESIDE = [name for name in (*SIDE, 'frozen') if not TUNINGS.get(METHODS[name]['type']).reruns_backbone]
NARROW = ('bf16', 'int8')
INSIDE = [name for name in METHODS if name not in (*SIDE, 'frozen')]


def rounded(name, method, checkpoint=None, dtype='bf16'):
    cfg = dict(BACKBONES[name])
    if checkpoint:
        cfg['init_cfg'] = dict(type='Pretrained', checkpoint=str(checkpoint))
    return MODELS.build(dict(type='TunedBackbone', backbone=cfg, tuning=dict(METHODS[method]), frozen_dtype=dtype))


def runner(checkpoint, work_dir, dtype, **changes):
    cfg = runner_cfg('swin', METHODS['est'], checkpoint, work_dir, **changes)
    if dtype:
        cfg.model.backbone.frozen_dtype = dtype
    return Runner.from_cfg(cfg)


@pytest.fixture(scope='module')
def trained(tmp_path_factory, weights):
    """Folders of a run with frozen weights as the file has them, and of those with rounded ones."""
    folders = {}
    for dtype in (None, *NARROW):
        folders[dtype] = tmp_path_factory.mktemp(str(dtype))
        runner(weights['swin'], folders[dtype], dtype).train()
    return folders


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('method', BESIDE)
def test_half_the_bytes_and_the_maps_of_mixed_precision(name, method, weights):
    tuned, exact = rounded(name, method, weights[name]), build(name, METHODS[method], weights[name])
    for model in (tuned, exact):
        model.init_weights()
    nbytes = [sum(p.nbytes for p in model.backbone.parameters() if p.ndim > 1) for model in (tuned, exact)]
    assert 2 * nbytes[0] == nbytes[1]
    found = tuned.train()(image())  # what the frozen backbone gives: a method beside it starts there
    with torch.no_grad(), torch.autocast('cpu', torch.bfloat16):
        mixed = exact.backbone.eval()(image())
    assert [f.dtype for f in found] == [torch.float32] * len(mixed)
    for f, m in zip(found, mixed, strict=True):
        assert (f - m).norm() / m.norm() < 0.03


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('method', BESIDE)
def test_a_quarter_of_the_bytes_and_the_maps_of_rounded_weights(name, method, weights):
    tuned = rounded(name, method, weights[name], 'int8')
    tuned.init_weights()
    exact = build(name, METHODS[method], weights[name])
    exact.init_weights()
    tuned.settle()
    packed = {one.name: one.scale.float() for one in packed_in(tuned.backbone)}
    values = tuned.backbone.state_dict()
    assert packed
    for key, p in exact.backbone.named_parameters():
        kept = tuned.backbone.get_parameter(key)
        assert kept.nbytes * (4 if key in packed else 2 if p.ndim > 1 else 1) == p.nbytes
        if key in packed:  # to the nearest level
            assert ((values[key] - p).abs() <= 0.5001 * packed[key] + 1e-9).all()
            assert torch.equal(values[key], unpack(*pack(values[key])))
    plain = rounded(name, method)
    plain.backbone.load_state_dict(values)
    for f, m in zip(tuned.train()(image()), plain.train()(image()), strict=True):
        assert f.dtype == torch.float32 and torch.equal(f, m)


def test_weights_of_compiled_operators_are_not_in_8_bits():
    cfg = dict(
        type='ResNet', depth=50, base_channels=16, num_stages=2, out_indices=(1,), strides=(1, 2), dilations=(1, 1),
        dcn=dict(type='DCNv2', deform_groups=1), stage_with_dcn=(False, True),
    )  # fmt: skip
    plain, tuned = (
        MODELS.build(dict(type='TunedBackbone', backbone=cfg, tuning=dict(type='EST'), frozen_dtype=dtype))
        for dtype in NARROW
    )
    tuned.settle()
    packed = {one.name for one in packed_in(tuned.backbone)}
    assert 'layer2.0.conv2.conv_offset.weight' in packed and 'layer2.0.conv2.weight' not in packed
    plain.backbone.load_state_dict(tuned.backbone.state_dict())
    with torch.no_grad():
        (found,), (wanted,) = tuned(image()), plain(image())
    assert torch.equal(found, wanted)


def test_under_autocast_the_neck_gets_what_autocast_computes_in(weights):
    tuned = rounded('swin', 'est', weights['swin'])
    with torch.autocast('cpu', torch.float16):
        assert {f.dtype for f in tuned(image())} == {torch.float16}


@pytest.mark.parametrize('method', INSIDE)
def test_methods_inside_the_backbone_are_refused(method):
    for dtype in NARROW:
        with pytest.raises(
            ValueError, match='trains inside the backbone, and its gradients would pass through rounded'
        ):
            rounded('swin', method, dtype=dtype)


@pytest.mark.parametrize('dtype', NARROW)
def test_a_method_that_runs_frozen_layers_again_is_refused(dtype):
    with pytest.raises(ValueError, match='E3VA runs layers of the frozen backbone again'):
        rounded('swin', 'e3va', dtype=dtype)


def test_8_bits_are_not_compiled():
    cfg = dict(type='TunedBackbone', backbone=dict(BACKBONES['swin']), tuning=dict(type='EST'), compile=True)
    with pytest.raises(ValueError, match="compile=True does not go with frozen_dtype='int8'"):
        MODELS.build(dict(cfg, frozen_dtype='int8'))


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="frozen_dtype should be None, 'bf16' or 'int8', but it is 'int4'"):
        mmest.tune(build('resnet'), frozen_dtype='int4')


def test_fingerprints_are_of_the_file(trained):
    infos = []
    for folder in trained.values():
        state = torch.load(folder / 'epoch_2.pth', weights_only=True)['state_dict']
        infos.append(decode_info(state[f'backbone.{DELTA_KEY}']))
        assert not any(key.startswith('backbone.backbone.') for key in state)
    assert len({info['fingerprint'] for info in infos}) == 1


@pytest.mark.parametrize('dtype', [None, *NARROW])
@pytest.mark.parametrize('delta', [None, *NARROW])
def test_deltas_load_whatever_the_precision(trained, weights, tmp_path, dtype, delta):
    fresh = runner(weights['swin'], tmp_path, dtype, load_from=str(trained[delta] / 'epoch_2.pth'))
    fresh.load_or_resume()
    again = runner(weights['swin'], tmp_path / 'same', delta, load_from=str(trained[delta] / 'epoch_2.pth'))
    again.load_or_resume()
    with torch.no_grad():
        found, expected = (r.model.eval()(image()) for r in (fresh, again))
    assert torch.equal(found, expected) if dtype == delta else torch.allclose(found, expected, atol=0.05)


@pytest.mark.parametrize('dtype', NARROW)
def test_resumes_the_same_curve(trained, weights, tmp_path, dtype):
    shutil.copy(trained[dtype] / 'epoch_1.pth', tmp_path)
    again = runner(weights['swin'], tmp_path, dtype, resume=True, load_from=str(tmp_path / 'epoch_1.pth'))
    again.train()
    states = [torch.load(folder / 'epoch_2.pth')['state_dict'] for folder in (trained[dtype], tmp_path)]
    assert digests(states[0].items()) == digests(states[1].items())


@pytest.mark.parametrize('dtype', NARROW)
def test_averaged_weights_are_narrow_too(weights, tmp_path, dtype):
    r = runner(weights['swin'], tmp_path, dtype, custom_hooks=[dict(type='ESTHook'), dict(type='EMAHook')])
    r.train()
    averaged = next(hook for hook in r.hooks if isinstance(hook, EMAHook)).ema_model.module
    for (name, p), a in zip(r.model.named_parameters(), averaged.parameters(), strict=True):
        assert a.dtype == p.dtype and torch.equal(a, p) != p.requires_grad, name
    content = torch.load(tmp_path / 'epoch_2.pth', weights_only=True)
    keys = [key.removeprefix('module.') for part in ('state_dict', 'ema_state_dict') for key in content[part]]
    assert not any(key.startswith('backbone.backbone.') for key in keys)
    again = runner(weights['swin'], tmp_path / 'again', dtype)
    load_checkpoint(again.model, str(tmp_path / 'epoch_2.pth'))
    with torch.no_grad():
        assert torch.equal(again.model.eval()(image()), averaged.eval()(image()))


@pytest.mark.parametrize('dtype', NARROW)
def test_torchs_average_of_a_tuned_module(dtype):
    tuned = mmest.tune(build('swin'), 'EST', frozen_dtype=dtype).train()
    averaged = AveragedModel(tuned)
    sum(y.sum() for y in tuned(image())).backward()
    averaged.update_parameters(tuned)
    with torch.no_grad():
        for f, m in zip(averaged.module.eval()(image()), tuned.eval()(image()), strict=True):
            assert torch.equal(f, m)


@pytest.mark.parametrize('dtype', NARROW)
def test_a_bit_of_a_rounded_tensor_that_changed_is_noticed(weights, tmp_path, dtype):
    class Vandal(mmengine.hooks.Hook):
        def after_train_iter(self, runner, *args, **kwargs):
            weight = runner.model.backbone.backbone.patch_embed.projection.weight
            weight.data.view(torch.int16).view(-1)[0] ^= 1

    r = runner(weights['swin'], tmp_path, dtype)
    r.register_hook(Vandal())
    with pytest.raises(RuntimeError, match='1 frozen tensors .* have changed .* patch_embed.projection.weight'):
        r.train()


def test_a_scale_of_8_bits_that_changed_is_noticed(weights, tmp_path):
    class Vandal(mmengine.hooks.Hook):
        def after_train_iter(self, runner, *args, **kwargs):
            next(packed_in(runner.model.backbone.backbone)).scale.mul_(1.01)

    r = runner(weights['swin'], tmp_path, 'int8')
    r.register_hook(Vandal())
    with pytest.raises(RuntimeError, match='1 frozen tensors .* have changed'):
        r.train()


@pytest.mark.parametrize('dtype, called', [('bf16', 'bfloat16'), ('int8', '8 bits')])
def test_keeps_what_load_from_changed(weights, tmp_path, dtype, called):
    state = torch.load(weights['swin'])['state_dict']
    state = {key: value + 1 if value.is_floating_point() else value for key, value in state.items()}
    torch.save(dict(state_dict=state), tmp_path / 'detector.pth')
    r = runner(weights['swin'], tmp_path, dtype, load_from=str(tmp_path / 'detector.pth'))
    r.train()
    said = ''.join(path.read_text() for path in tmp_path.rglob('*.log'))
    assert f'that the checkpoint has in float32 are rounded to {called} by frozen_dtype, first patch_embed' in said
    fresh = runner(weights['swin'], tmp_path / 'again', dtype, load_from=str(tmp_path / 'epoch_2.pth'))
    fresh.load_or_resume()
    with torch.no_grad():
        assert torch.equal(r.model.eval()(image()), fresh.model.eval()(image()))


@pytest.mark.parametrize('dtype', NARROW)
def test_nothing_is_said_of_rounding_where_the_file_gives_the_weights_back(trained, weights, tmp_path, dtype):
    state = torch.load(weights['swin'])['state_dict']
    torch.save(dict(state_dict=state), tmp_path / 'detector.pth')
    runner(weights['swin'], tmp_path, dtype, load_from=str(tmp_path / 'detector.pth'), epochs=1).train()
    said = ''.join(path.read_text() for folder in (tmp_path, trained[dtype]) for path in folder.rglob('*.log'))
    assert 'rounded to' not in said
    file = torch.load(tmp_path / 'epoch_1.pth', weights_only=True)['state_dict']
    assert not any(key.startswith('backbone.backbone.') for key in file)


@pytest.mark.parametrize('dtype', NARROW)
def test_an_export_has_the_weights_of_the_file(trained, weights, tmp_path, dtype):
    state = export(trained[dtype] / 'epoch_2.pth', tmp_path / 'whole.pth')
    for key, value in torch.load(weights['swin'])['state_dict'].items():
        assert torch.equal(state[f'backbone.{key}'], value)


@pytest.mark.parametrize('dtype', NARROW)
def test_from_python(tmp_path, dtype):
    model = build('resnet')
    weights = {name: p.clone() for name, p in model.state_dict().items()}
    tuned = mmest.tune(model, frozen_dtype=dtype)
    mmest.save_delta(tuned, tmp_path / 'delta.pth')
    other = build('resnet')
    other.load_state_dict(weights)
    exact = mmest.load_delta(mmest.tune(other), tmp_path / 'delta.pth')
    assert digests(exact.method.state_dict().items()) == digests(tuned.method.state_dict().items())


@pytest.mark.parametrize('dtype', NARROW)
def test_what_is_merged_runs_without_mmest(dtype):
    tuned = mmest.tune(build('resnet'), 'Frozen', frozen_dtype=dtype)
    module = tuned.merge()
    assert {p.dtype for p in module.parameters()} == {torch.float32}
    module(image())


@pytest.mark.parametrize('method', ['LoRA', 'SSF', 'Frozen'])
@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float64])
def test_merging_leaves_a_module_in_the_precision_that_it_came_in(method, dtype):
    tuned = mmest.tune(build('resnet').to(dtype), method)
    tuned.load_backbone()
    assert {p.dtype for p in tuned.merge().parameters()} == {dtype}


@pytest.mark.parametrize('dtype', NARROW)
def test_what_came_in_bfloat16_is_not_widened_with_what_was_rounded(dtype):
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 64).bfloat16()).requires_grad_(False)
    precision = FrozenPrecision(dtype)
    for _ in range(2):
        precision.narrow(net)
        assert net[0].weight.dtype != torch.float32
        precision.widen(net)
        assert [layer.weight.dtype for layer in net] == [torch.float32, torch.bfloat16]


@pytest.mark.parametrize('dtype', NARROW)
def test_a_weight_that_two_layers_share_is_rounded_once(dtype):
    net = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 64)).requires_grad_(False)
    net[1].weight = net[0].weight
    x, precision = torch.randn(3, 64), FrozenPrecision(dtype)
    wanted = net(x)
    precision.narrow(net)
    assert net[1].weight is net[0].weight
    with precision.computing(x.device):
        found = net(x)
    assert (found - wanted).norm() < 0.02 * wanted.norm()
    precision.widen(net)
    assert (net(x) - wanted).norm() < 0.02 * wanted.norm()


@pytest.mark.parametrize('dtype', NARROW)
def test_a_merge_that_is_refused_changes_nothing(tmp_path, dtype):
    tuned = mmest.tune(build('resnet'), frozen_dtype=dtype)
    mmest.save_delta(tuned, tmp_path / 'before.pth')
    with pytest.raises(ValueError, match='EST cannot be merged'):
        tuned.merge()
    mmest.save_delta(tuned, tmp_path / 'after.pth')
    before, after = (torch.load(tmp_path / name)['state_dict'] for name in ('before.pth', 'after.pth'))
    assert digests(before.items()) == digests(after.items())
