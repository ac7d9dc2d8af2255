"""Plans against measurements at sizes and on models that no fit has seen."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmest.cli import main
from mmest.measure.memory import measure_training_step
from mmest.measure.memory.compare import prepare
from mmest.measure.planner import plan as planning
from mmest.measure.planner.fake_backbone import FakeBackbone
from mmest.measure.planner.plan import fit_step, parse_bytes, plan
from mmest.measure.synthetic_batch import synthetic_batch

SWIN = "dict(type='SwinTransformer', embed_dims=16, depths=(1, 1, 2, 1), num_heads=(1, 2, 2, 4), window_size=7{more})"
VIT = """dict(type='mmseg.VisionTransformer', img_size=64, patch_size=16, embed_dims=48, num_layers=4, num_heads=2,
             out_indices=(0, 1, 2, 3))"""
CONFIGS = dict(
    retinanet="""
_base_ = 'mmdet::retinanet/retinanet_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(_delete_=True, type='TunedBackbone', backbone="""
    + SWIN.format(more='')
    + """, tuning=dict(type='EST')),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=32),
    bbox_head=dict(num_classes=3, in_channels=32, feat_channels=32, stacked_convs=1))
""",
    faster_rcnn="""
_base_ = 'mmdet::faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py'
model = dict(
    backbone=dict(_delete_=True, type='TunedBackbone', backbone="""
    + SWIN.format(more='')
    + """, tuning=dict(type='EST')),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=16),
    rpn_head=dict(in_channels=16, feat_channels=16),
    roi_head=dict(bbox_roi_extractor=dict(out_channels=16), bbox_head=dict(in_channels=16, fc_out_channels=32,
    num_classes=3)))
""",
    fcn="""
_base_ = 'mmseg::_base_/models/fcn_unet_s5-d16.py'
default_scope = 'mmseg'
norm = dict(type='BN', requires_grad=True)
model = dict(
    data_preprocessor=dict(size=(64, 64)),
    backbone=dict(_delete_=True, type='TunedBackbone', backbone="""
    + VIT
    + """, tuning=dict(type='EST')),
    decode_head=dict(in_channels=48, in_index=3, channels=16, norm_cfg=norm),
    auxiliary_head=dict(in_channels=48, in_index=2, channels=16, norm_cfg=norm), test_cfg=dict(mode='whole'))
""",
)
CASES = [('retinanet', 'EST', 4, (320, 416)), ('faster_rcnn', 'Full', 1, (512, 384)), ('fcn', 'Full', 5, (320, 480))]


def config(name: str, tmp_path: Path) -> Path:
    path = tmp_path / f'{name}.py'
    path.write_text(CONFIGS[name])
    return path


@pytest.mark.parametrize('name, method, batch_size, size', CASES)
def test_predicted_against_measured(name, method, batch_size, size, tmp_path):
    """Within 5 %; windows and attention are no linear functions of the image."""
    cfg, tuning = Config.fromfile(config(name, tmp_path)), dict(type=method)
    predicted = fit_step(cfg, tuning).peak(batch_size, size)
    model, optim_wrapper = prepare(cfg, tuning, size)
    measured = measure_training_step(model, synthetic_batch(model, size, batch_size), optim_wrapper).peak
    assert predicted == pytest.approx(measured, rel=0.05)


@pytest.mark.parametrize('method', ['Full', 'EST'])
def test_a_fake_backbone_needs_what_a_real_one_needs(method, tmp_path):
    from mmest.measure.memory.live import LiveTensorCounter

    cfg = Config.fromfile(config('retinanet', tmp_path))
    real, fake = (prepare(cfg, dict(type=method), (64, 64))[0].backbone.train() for _ in range(2))
    counter = LiveTensorCounter()
    with counter:
        for tensor in (*real.parameters(), *real.buffers()):
            counter.label(tensor, 'inputs')
        features = real(torch.empty(3, 3, 96, 160))
        forward, held = counter.peak.total, counter.total
        counter.restart_peak()
        torch.autograd.backward(
            [f for f in features if f.requires_grad], [torch.empty_like(f) for f in features if f.requires_grad]
        )
    assert FakeBackbone(fake).memory(3, (96, 160)) == (forward, held, counter.peak.total)


def test_a_plan_is_what_the_fit_says(tmp_path, monkeypatch):
    class Linear:
        def peak(self, batch_size, size):
            return 1000 + batch_size * size[0] * size[1]

    monkeypatch.setattr(planning, 'fit_step', lambda cfg, tuning, done: Linear())
    names = []
    plans = plan(Config(), dict(a={}, b={}), 1000 + 5 * 96 * 96, (96, 96), 2, names.append)
    assert plans['a'] == (1000 + 2 * 96 * 96, 5, 128, None)  # 2 × 128² is below 5 × 96², 2 × 160² above
    assert names.count('a') == names.count('b') == planning.PARTS
    assert plan(Config(), dict(a={}), 10, (96, 96), 2)['a'][1:3] == (0, 0)


PEAKS = dict(
    line=(1, lambda n: 1000 + 7 * n, 5),
    square=(2, lambda n: 50 + 3 * n**2, 5),
    steps=(1, lambda n: 100 * (n // 4), 9),
    kink=(1, lambda n: max(900 + n, 40 * n), 9),
    level=(1, lambda n: 5, 3),
)


@pytest.mark.parametrize('peak', PEAKS)
@pytest.mark.parametrize('most', [1, 2, 3, 7, 19, 64, 126, 127, 128, 200])
def test_the_largest_is_found_in_few_looks(most, peak):
    growth, rising, looks = PEAKS[peak]
    tried = []

    def look(number):
        tried.append(number)
        return rising(number)

    expected = max(n for n in range(1, 129) if rising(n) <= rising(most))
    assert planning._largest(look, rising(most), 1, 128, growth) == expected
    assert len(tried) <= looks


def test_a_method_that_looks_at_values_is_told_of(tmp_path, monkeypatch):
    def refuse(cfg, tuning, done):
        raise RuntimeError('values are needed\nand more')

    monkeypatch.setattr(planning, 'fit_step', refuse)
    assert plan(Config(), dict(a={}), 10, (96, 96), 2)['a'].error == 'RuntimeError: values are needed'


@pytest.mark.parametrize(
    'text, nbytes', [('8GiB', 8 * 2**30), ('24 GB', 24 * 10**9), ('1.5g', 3 * 2**29), ('100', 100)]
)
def test_amounts_of_memory(text, nbytes):
    assert parse_bytes(text) == nbytes


def test_the_command(tmp_path, capsys):
    command = ['plan', str(config('fcn', tmp_path)), '--size', '96', '96', '--budget']
    with pytest.raises(SystemExit, match='"lots" is no amount of memory'):
        main([*command, 'lots'])
    main([*command, '100MiB', '--tunings', 'frozen', '--out', str(tmp_path / 'plan.json')])
    said = capsys.readouterr().out
    assert 'frozen' in said and 'yes' in said
    assert (tmp_path / 'plan.json').is_file()
