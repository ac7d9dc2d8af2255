"""Plans against measurements at sizes and on models that no fit has seen."""

import re
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import OPTIMIZERS

from mmest.cli import main
from mmest.measure.memory import measure_training_step
from mmest.measure.memory.live import LiveTensorCounter
from mmest.measure.parameters import render
from mmest.measure.planner import plan as planning
from mmest.measure.planner.attention import AttentionOfTheCPU
from mmest.measure.planner.head import SMALL_RUNS
from mmest.measure.planner.meta_backbone import MetaBackbone
from mmest.measure.planner.plan import parse_bytes, plan
from mmest.measure.planner.planner import Planner
from mmest.measure.planner.report import plan_table
from mmest.measure.ready import prepare
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
# Methods of one config share the runs of its head: where all outputs learn, some, or none.
CASES = [
    ('retinanet', ('Partial', 'EST', 'Frozen', 'DTL'), 4, (320, 416)),
    ('retinanet', ('EST',), 2, (330, 650)),  # which the data preprocessor pads to 352×672
    ('faster_rcnn', ('Frozen', 'Full'), 1, (512, 384)),
    ('fcn', ('Full', 'LST', 'DTL'), 5, (320, 480)),
]


def config(name: str, tmp_path: Path) -> Path:
    path = tmp_path / f'{name}.py'
    path.write_text(CONFIGS[name])
    return path


@pytest.mark.parametrize('name, methods, batch_size, size', CASES)
def test_predicted_against_measured(name, methods, batch_size, size, tmp_path):
    """Within half a percent; windows and attention are no linear functions of the image."""
    cfg = Config.fromfile(config(name, tmp_path))
    planner = Planner(cfg)
    for method in methods:
        tuning = dict(type=method)
        predicted = planner.under(tuning).peak(batch_size, size)
        model, optim_wrapper = prepare(cfg, tuning, size)
        measured = measure_training_step(model, synthetic_batch(model, size, batch_size), optim_wrapper).peak
        assert predicted == pytest.approx(measured, rel=0.005), method


def test_images_have_the_channels_that_the_backbone_takes(tmp_path):
    cfg, size, tuning = Config.fromfile(config('fcn', tmp_path)), (320, 480), dict(type='EST')
    cfg.model.backbone.backbone.in_channels = 5
    cfg.model.data_preprocessor.update(mean=[100.0] * 5, std=[50.0] * 5, bgr_to_rgb=False)
    predicted = Planner(cfg).under(tuning).peak(2, size)
    model, optim_wrapper = prepare(cfg, tuning, size)
    batch = synthetic_batch(model, size, 2)
    assert [tuple(one.shape) for one in batch['inputs']] == [(5, *size)] * 2
    assert predicted == pytest.approx(measure_training_step(model, batch, optim_wrapper).peak, rel=0.005)


def test_gradients_of_earlier_steps_are_planned(tmp_path):
    cfg, size, tuning = Config.fromfile(config('retinanet', tmp_path)), (192, 192), dict(type='Full')
    cfg.model.backbone.backbone.embed_dims = 64
    cfg.model.neck.in_channels = [64, 128, 256, 512]
    peaks = []
    for cfg.optim_wrapper.accumulative_counts in (1, 2):
        model, optim_wrapper = prepare(cfg, tuning, size)
        peaks.append(measure_training_step(model, synthetic_batch(model, size, 1), optim_wrapper).peak)
        assert Planner(cfg).under(tuning).peak(1, size) == pytest.approx(peaks[-1], rel=0.005)
    assert peaks[1] > 1.05 * peaks[0]


@pytest.mark.parametrize('foreach', [None, False])
def test_updates_are_planned_as_they_are_made(foreach, tmp_path):
    """With a wide backbone and a small image the update is the fullest moment, unless it is made in place."""
    cfg, size, tuning = Config.fromfile(config('retinanet', tmp_path)), (32, 32), dict(type='Full')
    cfg.model.backbone.backbone.embed_dims = 128
    cfg.model.neck.in_channels = [128, 256, 512, 1024]
    cfg.optim_wrapper.constructor = 'TrainableOptimWrapperConstructor'
    cfg.optim_wrapper.optimizer = dict(type='AdamW', lr=1e-4, foreach=foreach)
    if foreach is None:
        del cfg.optim_wrapper.optimizer['foreach']
    model, optim_wrapper = prepare(cfg, tuning, size)
    assert bool(optim_wrapper.optimizer.defaults['fused']) == (foreach is None)
    step = measure_training_step(model, synthetic_batch(model, size, 1), optim_wrapper)
    assert (step.phase == 'optimizer') == (foreach is not None)
    assert Planner(cfg).under(tuning).peak(1, size) == pytest.approx(step.peak, rel=0.005)


def test_levers_on_memory_are_planned(tmp_path):
    size = (224, 352)  # the coarsest maps have an odd number of positions
    cfg, tuning = Config.fromfile(config('retinanet', tmp_path)), dict(type='EST')
    planned = []
    for cfg.memory in ([], ['side_int8'], ['lowest'], ['lowest', 'frozen_int8']):
        planned.append(Planner(cfg).under(tuning).peak(2, size))
        model, optim_wrapper = prepare(cfg, tuning, size)
        measured = measure_training_step(model, synthetic_batch(model, size, 2), optim_wrapper).peak
        assert planned[-1] == pytest.approx(measured, rel=0.005), cfg.memory
    assert planned == sorted(planned, reverse=True)


def test_the_optimizer_of_a_lever_is_planned(tmp_path, monkeypatch):
    """One with a single state stands for that of bitsandbytes."""
    monkeypatch.setitem(OPTIMIZERS._module_dict, 'AdamW8bit', torch.optim.RMSprop)
    size, tuning = (224, 352), dict(type='Full')
    cfg = Config.fromfile(config('retinanet', tmp_path))
    cfg.optim_wrapper.optimizer = dict(type='AdamW', lr=1e-4)
    plain = Planner(cfg).under(tuning).peak(2, size)
    cfg.memory = ['adamw_8bit']
    planned = Planner(cfg).under(tuning).peak(2, size)
    model, optim_wrapper = prepare(cfg, tuning, size)
    measured = measure_training_step(model, synthetic_batch(model, size, 2), optim_wrapper).peak
    trained = sum(p.nbytes for p in model.parameters() if p.requires_grad)
    assert planned == pytest.approx(measured, rel=0.005)
    assert plain - planned == pytest.approx(trained, rel=0.01)


def test_what_a_head_keeps_until_the_next_step_is_planned(tmp_path):
    """Samples of the step before, at a size that has been looked at: exact, though no two runs are of one size."""
    cfg, tuning, (batch_size, size) = Config.fromfile(config('retinanet', tmp_path)), dict(type='Frozen'), SMALL_RUNS[1]
    predicted = Planner(cfg).under(tuning).peak(batch_size, size)
    model, optim_wrapper = prepare(cfg, tuning, size)
    measured = measure_training_step(model, synthetic_batch(model, size, batch_size), optim_wrapper).peak
    assert abs(predicted - measured) < 1000


def test_neck_and_head_run_once_for_all_methods(tmp_path):
    planner, steps = Planner(Config.fromfile(config('retinanet', tmp_path))), []
    for method in ('EST', 'Full', 'LST', 'Frozen'):
        planner.under(dict(type=method), lambda name=method: steps.append(name)).peak(2, (64, 64))
    # One to warm up, and one more where no output learns.
    assert steps == ['EST'] * (len(SMALL_RUNS) + 2)


@pytest.mark.parametrize('method', ['Full', 'EST', 'LST'])
def test_a_backbone_without_data_needs_what_a_real_one_needs(method, tmp_path):
    cfg = Config.fromfile(config('retinanet', tmp_path))
    real, meta = (prepare(cfg, dict(type=method), (64, 64))[0].backbone.train() for _ in range(2))
    counter = LiveTensorCounter()
    image = torch.empty(3, 3, 96, 160)
    with counter:
        for tensor in (*real.parameters(), *real.buffers()):
            counter.label(tensor, 'inputs')
        weights = counter.total
        counter.label(image, 'inputs')
        features = real(image)
        forward, held = counter.peak.total - image.nbytes, counter.total - image.nbytes
        loss = sum(feature.sum() for feature in features if feature.requires_grad)
        del features
        kept = counter.total - image.nbytes
        loss.backward()
        del loss
        after = counter.total - image.nbytes
    found = MetaBackbone(meta).memory(3, (96, 160))
    assert (found.weights, found.forward.max(), found.held, found.kept, found.after) == (
        weights,
        forward,
        held,
        kept,
        after,
    )


@pytest.mark.parametrize('mask', [None, torch.float32, torch.bool])
def test_attention_keeps_what_it_keeps_on_a_cpu(mask):
    def kept(device, mode):
        counter = LiveTensorCounter(device)
        with torch.device(device), mode, counter:
            query = torch.ones(2, 2, 16, 8).requires_grad_()
            more = {} if mask is None else dict(attn_mask=torch.ones(16, 16, dtype=mask))
            made = torch.nn.functional.scaled_dot_product_attention(query, query, query, **more)
            del more
            return made.shape, counter.total, counter.peak.total

    assert kept('meta', AttentionOfTheCPU()) == kept('cpu', nullcontext())


class LinearPlanner:
    """Every method needs a constant and the pixels."""

    least_batch = 1

    def __init__(self, cfg):
        pass

    def under(self, tuning, done):
        return self

    def peak(self, batch_size, size):
        return 1000 + batch_size * size[0] * size[1]

    estimate = peak


def test_a_plan_is_what_the_fit_says(monkeypatch):
    monkeypatch.setattr(planning, 'Planner', LinearPlanner)
    names = []
    plans = plan(Config(), dict(a={}, b={}), 1000 + 5 * 96 * 96, (96, 96), 2, names.append)
    assert plans['a'] == (1000 + 2 * 96 * 96, 5, 128, None)  # 2 × 128² is below 5 × 96², 2 × 160² above
    assert names.count('a') == names.count('b') == planning.PARTS
    assert plan(Config(), dict(a={}), 10, (96, 96), 2)['a'][1:3] == (0, 0)


PEAKS = dict(
    line=lambda n: 1000 + 7 * n,
    square=lambda n: 50 + 3 * n**2,
    steps=lambda n: 100 * (n // 4),
    kink=lambda n: max(900 + n, 40 * n),
    level=lambda n: 5,
)
# Of what is true: an estimate may be wrong, or of no use.
ESTIMATES = dict(exact=(lambda n, y: y, 2), low=(lambda n, y: 0.8 * y, 16), useless=(lambda n, y: 0, 16))


@pytest.mark.parametrize('estimate', ESTIMATES)
@pytest.mark.parametrize('peak', PEAKS)
@pytest.mark.parametrize('most', [1, 2, 3, 7, 19, 64, 126, 127, 128, 200])
def test_the_largest_is_found_in_few_looks(most, peak, estimate):
    rising, (guess, looks) = PEAKS[peak], ESTIMATES[estimate]
    tried = []

    def look(number):
        tried.append(number)
        return rising(number)

    expected = max(n for n in range(1, 129) if rising(n) <= rising(most))
    assert planning._largest(look, lambda n: guess(n, rising(n)), rising(most), 1, 128) == expected
    assert len(tried) <= looks


def test_a_head_that_norms_one_pixel_of_each_image_needs_two(tmp_path):
    cfg = Config.fromfile(config('fcn', tmp_path))
    assert Planner(cfg).under(dict(type='Frozen')).least_batch == 1
    cfg.model.decode_head = dict(
        type='UPerHead',
        in_channels=[48] * 4,
        in_index=[0, 1, 2, 3],
        channels=16,
        norm_cfg=dict(type='BN'),
        num_classes=2,
    )
    assert Planner(cfg).under(dict(type='Frozen')).least_batch == 2


def test_plans_begin_with_the_batch_that_a_head_needs(monkeypatch):
    class OfTwo(LinearPlanner):
        least_batch = 2

    monkeypatch.setattr(planning, 'Planner', OfTwo)
    one, two = (OfTwo(None).peak(batch, (96, 96)) for batch in (1, 2))
    assert [plan(Config(), dict(a={}), budget, (96, 96), 2)['a'].largest_batch for budget in (one, two)] == [0, 2]
    with pytest.raises(ValueError, match='take --batch-size 2'):
        plan(Config(), dict(a={}), two, (96, 96), 1)
    cfg = Config(dict(model=dict(backbone=dict(tuning={}))))
    monkeypatch.setattr(OfTwo, 'under', lambda self, tuning: self)
    assert [planning.largest_batch_within(cfg, budget, (96, 96), 4) for budget in (one, two)] == [0, 2]


def test_a_method_that_looks_at_values_is_told_of(monkeypatch):
    class Refusing(LinearPlanner):
        def under(self, tuning, done):
            raise RuntimeError('values are needed\nand more')

    monkeypatch.setattr(planning, 'Planner', Refusing)
    assert plan(Config(), dict(a={}), 10, (96, 96), 2)['a'].error == 'RuntimeError: values are needed'


def test_a_method_that_does_not_suit_leaves_the_others_their_plan(monkeypatch):
    class Choosy(LinearPlanner):
        def under(self, tuning, done):
            if tuning:
                raise ValueError('finds no place to act')
            return super().under(tuning, done)

    monkeypatch.setattr(planning, 'Planner', Choosy)
    plans = plan(Config(), dict(a=dict(type='Convpass'), b={}), 1000 + 5 * 96 * 96, (96, 96), 2)
    assert plans['a'].error == 'finds no place to act' and plans['b'].largest_batch == 5
    with pytest.raises(ValueError, match='finds no place'):
        plan(Config(), dict(a=dict(type='Convpass')), 10, (96, 96), 2)


def test_what_is_larger_than_was_looked_for_is_said():
    plans = dict(a=planning.Plan(1, 1024, 4096), b=planning.Plan(1, 1023, 4064), c=planning.Plan(1, 0, 0))
    table = render(plan_table('model', plans, 2**30, (96, 96), 2))
    assert re.findall(r'(\w+)\s+1024 or more\s+4096×4096 or more', table) == ['yes']
    assert re.search(r'yes\s+1023\s+4064×4064\s', table + '\n') and re.search(r'yes\s+none\s+none', table)


@pytest.mark.parametrize(
    'text, nbytes',
    [
        ('8GiB', 8 * 2**30),
        ('24 GB', 24 * 10**9),
        ('1.5g', 3 * 2**29),
        ('100B', 100),
        ('8589934592', 2**33),
        ('1048576', 2**20),
    ],
)
def test_amounts_of_memory(text, nbytes):
    assert parse_bytes(text) == nbytes


@pytest.mark.parametrize('text', ['8', ' 24 ', '1.5', '0', '1048575'])
def test_a_few_bytes_without_a_unit_are_refused(text):
    with pytest.raises(ValueError, match=f'"{text}" without a unit is a number of bytes. Write {text.strip()}GiB'):
        parse_bytes(text)


def test_the_command(tmp_path, capsys):
    command = ['plan', str(config('fcn', tmp_path)), '--size', '96', '96', '--budget']
    with pytest.raises(SystemExit, match='"lots" is no amount of memory'):
        main([*command, 'lots'])
    main([*command, '100MiB', '--tunings', 'frozen', '--out', str(tmp_path / 'plan.json')])
    said = capsys.readouterr().out
    assert 'frozen' in said and 'yes' in said
    assert (tmp_path / 'plan.json').is_file()
