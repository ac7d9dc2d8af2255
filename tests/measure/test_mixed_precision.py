"""bfloat16 under autocast, for which mmcv's compiled operators have no kernels; a CPU shows it as CUDA does."""

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
from toy import METHODS, runner_cfg, write_weights

from mmest.configs import configs_root
from mmest.engine.launch import use_amp
from mmest.measure.ready import prepare
from mmest.measure.synthetic_batch import synthetic_batch
from mmest.mixed_precision import Bfloat16OptimWrapper, operators_in_fp32

ops = pytest.importorskip('mmcv.ops')


def shipped() -> dict[str, str]:
    """One config of every head, with a small backbone where there is a choice."""
    found: dict[str, str] = {}
    for path in sorted(configs_root().glob('*/*/*.py'), key=lambda path: ('r50' not in path.stem, path.stem)):
        if path.parts[-3] in ('detection', 'segmentation') and path.stem.split('_')[0] != 'oriented-rcnn':
            found.setdefault(path.stem.split('_')[0], str(path))
    return found


@pytest.mark.parametrize('head', shipped())
def test_every_head_trains_in_bfloat16(head):
    cfg = Config.fromfile(shipped()[head])
    model, wrapper = prepare(cfg, dict(type='EST'), (64, 64), precision='bf16')
    losses = model.train_step(synthetic_batch(model, (64, 64), 2), wrapper)
    assert torch.isfinite(losses['loss'])
    assert all(p.dtype == torch.float32 for p in model.parameters())


def case(name: str):
    """An operator of its inputs, and the inputs that take a gradient."""
    g = torch.Generator().manual_seed(0)
    x = torch.rand(1, 4, 16, 16, generator=g)
    rois = torch.tensor([[0.0, 1, 1, 9, 9], [0, 3, 2, 12, 14]])
    if name == 'roi_align':
        return lambda a: ops.roi_align(a, rois.to(a), 4, 1.0, 2, 'avg', True), x
    if name == 'roi_align_rotated':
        turned = torch.tensor([[0.0, 8, 8, 6, 4, 0.3]])
        return lambda a: ops.roi_align_rotated(a, turned.to(a), 4, 1.0, 2, True, True), x
    if name == 'deform_conv2d':
        offset = torch.rand(1, 18, 14, 14, generator=g)
        weight = torch.rand(2, 4, 3, 3, generator=g)
        return lambda a: ops.deform_conv2d(a, offset.to(a), weight.to(a)), x
    boxes = torch.tensor([[0.0, 0, 8, 8], [0, 0, 7, 8], [9, 9, 15, 15]])
    return lambda a: ops.nms(boxes.to(a), a[0, 0, 0, :3].contiguous(), 0.5)[0], x.round(decimals=1)


@pytest.mark.parametrize('name', ['roi_align', 'roi_align_rotated', 'deform_conv2d', 'nms'])
def test_operators_take_bfloat16_under_autocast_and_are_as_before_outside(name):
    operator, x = case(name)
    expected = operator(x)
    operators_in_fp32()
    operators_in_fp32()  # a second call changes nothing
    assert torch.equal(operator(x), expected)
    half = x.bfloat16().requires_grad_()
    with torch.autocast('cpu', torch.bfloat16):
        found = operator(half)
    assert found.dtype == torch.bfloat16 and torch.allclose(found.float(), expected, rtol=0.05, atol=0.05)
    if found.requires_grad:
        found.sum().backward()
        assert half.grad.dtype == torch.bfloat16 and half.grad.abs().sum() > 0


@pytest.mark.parametrize('more', [dict(loss_scale='dynamic'), dict(loss_scale=512.0, dtype='float16')])
def test_amp_on_a_cpu_by_a_config_that_was_trained_on_cuda(monkeypatch, more):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    wrapper = dict(type='AmpOptimWrapper', optimizer=dict(type='SGD', lr=0.1), accumulative_counts=2, **more)
    cfg = Config(dict(optim_wrapper=wrapper))
    use_amp(cfg)
    built = build_optim_wrapper(torch.nn.Linear(2, 2), cfg.optim_wrapper)
    assert type(built) is Bfloat16OptimWrapper and built._accumulative_counts == 2


def test_amp_on_a_cpu(tmp_path):
    weights = write_weights('swin', tmp_path)
    cfg = runner_cfg('swin', METHODS['est'], weights, tmp_path / 'work')
    use_amp(cfg)
    seen = set()
    runner = Runner.from_cfg(cfg)
    runner.model.head[0].register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    runner.train()
    assert seen == {torch.bfloat16}
    checkpoint = torch.load(tmp_path / 'work' / 'epoch_2.pth', weights_only=True)
    assert {t.dtype for key, t in checkpoint['state_dict'].items() if key.startswith('head')} == {torch.float32}
