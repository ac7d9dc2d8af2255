"""Sweeps see held-out training data only; trainings go on, and their scores are those of the evaluation."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS, DefaultScope

from mmest.benchmark.config_text import config_text
from mmest.benchmark.held_out import hold_out, is_held_out, picture_of
from mmest.benchmark.metrics import in_percent, main_metric
from mmest.benchmark.training import chosen_factor, losses, scale_rate, train_and_score, training_config
from mmest.configs import configs_root


def contents(folder: Path) -> dict:
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.rglob('*') if path.is_file()}


@pytest.mark.parametrize('name', ['fpn_swin_est', 'retinanet_swin_est'])
def test_held_out_images_are_not_trained_on(config, data, tmp_path, name):
    before = contents(data)
    cfg, original = (Config.fromfile(config(name)) for _ in range(2))
    hold_out(cfg, 0.3, tmp_path / 'parts')

    def images(dataset: dict) -> list:
        with DefaultScope.overwrite_default_scope(cfg.default_scope):
            built = DATASETS.build(dataset)
        assert len(built[0]) == 2  # inputs and data_samples: the pipeline still works
        return [built.get_data_info(i)['img_path'] for i in range(len(built))]

    fit, held, everything = (
        images(dataset)
        for dataset in (cfg.train_dataloader.dataset, cfg.val_dataloader.dataset, original.train_dataloader.dataset)
    )
    assert sorted(fit + held) == sorted(everything) and not set(fit) & set(held)
    assert 2 <= len(held) <= 14
    assert cfg.val_dataloader.dataset.pipeline == original.val_dataloader.dataset.pipeline
    if name.startswith('retinanet'):
        judged = json.loads(Path(cfg.val_evaluator.ann_file).read_text())
        assert sorted(image['file_name'] for image in judged['images']) == sorted(Path(path).name for path in held)
        assert {a['image_id'] for a in judged['annotations']} <= {image['id'] for image in judged['images']}
    assert contents(data) == before


def test_an_image_stays_on_its_side_when_others_come():
    ids = range(2000)
    held = [i for i in ids if is_held_out(i, 0.2)]
    assert abs(len(held) - 400) < 80
    assert held[:10] == [i for i in range(held[9] + 1) if is_held_out(i, 0.2)]
    assert set(held) < {i for i in ids if is_held_out(i, 0.5)}


@pytest.mark.parametrize(
    'name, picture',
    [
        ('P0006__824__0', 'P0006'),
        ('P0001__1024__0___0', 'P0001'),
        ('P0000_0_896_0_896', 'P0000'),
        ('a/2_10_0_0_512_512', 'a/2_10'),
        ('area1_0_0_512_512', 'area1'),
        ('t1_p001_285_132', 't1_p001'),
        ('00001', '00001'),
        ('scene_00012', 'scene_00012'),
    ],
)
def test_the_picture_of_a_tile(name, picture):
    assert picture_of(name) == picture


@pytest.mark.parametrize('which', [0.3, ['P0003*', 'P001?__*']])
@pytest.mark.parametrize('kind', ['list', 'coco'])
def test_tiles_stay_with_their_picture(config, tmp_path, kind, which):
    names = [f'P{picture:04d}__{x}__{y}' for picture in range(12) for x in (0, 824) for y in (0, 824)]
    if kind == 'list':
        (tmp_path / 'all.txt').write_text('\n'.join(names))
    else:
        images = [dict(id=i, file_name=f'{name}.png', width=9, height=9) for i, name in enumerate(names)]
        (tmp_path / 'all.json').write_text(
            json.dumps(dict(images=images, annotations=[], categories=[dict(id=0, name='ship')]))
        )
    cfg = Config.fromfile(config('fpn_swin_est' if kind == 'list' else 'retinanet_swin_est'))
    cfg.train_dataloader.dataset.ann_file = str(next(tmp_path.glob('all.*')))
    hold_out(cfg, which, tmp_path / 'parts')
    parts = []
    for path in (cfg.train_dataloader.dataset.ann_file, cfg.val_dataloader.dataset.ann_file):
        text = Path(path).read_text()
        parts.append(
            text.split() if kind == 'list' else [Path(i['file_name']).stem for i in json.loads(text)['images']]
        )
    fit, held = ({picture_of(name) for name in part} for part in parts)
    assert fit and held and not fit & held and sorted(parts[0] + parts[1]) == names
    if not isinstance(which, float):
        assert held == {'P0003', 'P0010', 'P0011'}


def test_lists_of_names_are_split_and_other_data_gets_a_sentence(config, data, tmp_path):
    names = [f'{i:05d}' for i in range(24)]
    (tmp_path / 'list.txt').write_text('\n'.join(names))
    cfg = Config.fromfile(config('fpn_swin_est'))
    dataset = cfg.train_dataloader.dataset
    dataset.ann_file = str(tmp_path / 'list.txt')
    cfg.train_dataloader.dataset = dict(type='RepeatDataset', times=2, dataset=dataset)
    hold_out(cfg, 0.3, tmp_path / 'parts')
    paths = [cfg.train_dataloader.dataset.dataset.ann_file, cfg.val_dataloader.dataset.ann_file]
    parts = [Path(path).read_text().split() for path in paths]
    assert sorted(sum(parts, [])) == names and all(parts)
    assert cfg.train_dataloader.dataset.dataset.ann_file.endswith('fit.txt')
    with pytest.raises(ValueError, match='leaves one part without any'):
        hold_out(Config.fromfile(config('fpn_swin_est')), 1e-9, tmp_path / 'parts')
    with pytest.raises(ValueError, match=r'those named t1_\*, t2_\* leaves one part without any'):
        hold_out(Config.fromfile(config('fpn_swin_est')), ['t1_*', 't2_*'], tmp_path / 'parts')
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[dataset])
    with pytest.raises(ValueError, match='cannot be held out of a ConcatDataset'):
        hold_out(cfg, 0.3, tmp_path / 'parts')


def test_the_best_factor_by_the_held_out_score_is_taken(tmp_path):
    sweep = dict(factors=[0.3, 1.0, 3.0], cells=['a', 'b', 'c'])
    for cell, score in dict(a=0.1, b=0.4).items():
        (tmp_path / f'{cell}.json').write_text(json.dumps(dict(failed=False, metrics={'coco/bbox_mAP': score})))
    (tmp_path / 'c.json').write_text(json.dumps(dict(failed=True, error=['diverged'])))
    assert chosen_factor(dict(sweep=sweep), tmp_path) == dict(
        factor=1.0, sweep_scores={'0.3': 10.0, '1': 40.0, '3': None}
    )
    (tmp_path / 'a.json').unlink()
    (tmp_path / 'b.json').unlink()
    with pytest.raises(RuntimeError, match='No run of the sweep'):
        chosen_factor(dict(sweep=sweep), tmp_path)


@pytest.mark.parametrize(
    'scores, best',
    # The sums of the first two differ in their last bit only.
    [({0.1: (0.217, 0.237), 1.0: (0.208, 0.246)}, 1.0), ({0.3: (0.5, 0.5), 10.0: (0.5, 0.5), 3.0: (0.4, 0.5)}, 0.3)],
)
@pytest.mark.parametrize('turned', [False, True])
def test_of_equal_factors_the_nearest_to_1_is_taken(tmp_path, scores, best, turned):
    factors = list(scores)[:: -1 if turned else 1]
    cells = [f'{factor}-{seed}' for factor in factors for seed in (0, 1)]
    for cell, score in zip(cells, (score for factor in factors for score in scores[factor])):
        (tmp_path / f'{cell}.json').write_text(json.dumps(dict(failed=False, metrics={'coco/bbox_mAP': score})))
    assert chosen_factor(dict(sweep=dict(factors=factors, seeds=[0, 1], cells=cells)), tmp_path)['factor'] == best


def test_a_factor_scores_the_mean_of_its_seeds(tmp_path):
    for cell, score in dict(a0=0.9, a1=0.1, b0=0.5, b1=0.7, c0=0.99).items():
        (tmp_path / f'{cell}.json').write_text(json.dumps(dict(failed=False, metrics={'coco/bbox_mAP': score})))
    sweep = dict(factors=[0.3, 1.0, 3.0], seeds=[0, 1], cells=['a0', 'a1', 'b0', 'b1', 'c0', 'c1'])
    assert chosen_factor(dict(sweep=sweep), tmp_path) == dict(
        factor=1.0, sweep_scores={'0.3': pytest.approx(50.0), '1': pytest.approx(60.0), '3': None}
    )


def test_a_factor_is_on_all_rates_or_on_that_of_the_method():
    cfg = Config(
        dict(
            optim_wrapper=dict(optimizer=dict(lr=0.1)), model=dict(backbone=dict(tuning=dict(type='EST', lr_mult=10.0)))
        )
    )
    scale_rate(cfg, 3.0, None)
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.3) and cfg.model.backbone.tuning.lr_mult == 10
    scale_rate(cfg, 0.5, 'method')
    assert cfg.optim_wrapper.optimizer.lr == pytest.approx(0.3) and cfg.model.backbone.tuning.lr_mult == 5
    cfg.model.backbone.tuning = dict(type='Full')
    scale_rate(cfg, 0.1, 'method')
    assert cfg.model.backbone.tuning.lr_mult == pytest.approx(0.1)


def test_a_training_is_scored_and_not_repeated(config, tmp_path):
    path = config('fpn_swin_est')
    asked = dict(
        kind='accuracy', config=str(path), config_text=config_text(str(path), {}, 'est')[0], method='est', seed=1
    )
    result = train_and_score(dict(asked, factor=0.5, held_out=0.3), tmp_path / 'work', tmp_path)
    assert result['learning_rate'] == 0.5 * 4e-3
    assert [step for step, _ in result['losses']] == [1, 2, 3]
    assert 0 <= result['metrics']['mIoU'] <= 100 and result['task'] == 'segmentation'
    assert result['parameters']['trained_by_method'] > 0
    assert len(set(result['data'].values())) == 2, 'one part trains and the other scores'
    # As if it had been killed after its last checkpoint, before its record was written.
    again = train_and_score(dict(asked, factor=0.5, held_out=0.3), tmp_path / 'work', tmp_path)
    assert result['earlier_seconds'] == 0 < again['earlier_seconds']
    assert all(again[part] == result[part] for part in ('metrics', 'losses', 'data'))


def test_validation_images_do_not_say_when_a_training_ends(config, tmp_path):
    """As they do in trainings on own data."""
    path = config('retinanet_swin_est')
    path.write_text(f"{path.read_text()}custom_hooks = [dict(type='EarlyStoppingHook', monitor='coco/bbox_mAP')]\n")
    text, tuning = config_text(str(path), {}, 'est')
    request = dict(config=str(path), config_text=text, method='est', tuning=tuning, seed=0)
    asked = [hook['type'] for hook in Config.fromfile(path).custom_hooks]
    cfg, _ = training_config(request, tmp_path, tmp_path)
    assert 'EarlyStoppingHook' in asked and [hook.type for hook in cfg.custom_hooks] == asked[:-1]


def test_a_training_has_its_seed_and_the_rate_that_its_sweep_chose(config, tmp_path):
    path = str(config('fpn_swin_est'))
    text, tuning = config_text(path, {}, 'est')
    for cell, score in dict(a=40.0, b=50.0).items():
        (tmp_path / f'{cell}.json').write_text(json.dumps(dict(failed=False, metrics=dict(mIoU=score))))
    for of, rate, factor in (({}, 3 * 4e-3, 10), (dict(of='method'), 4e-3, 30)):
        sweep = dict(factors=[1.0, 3.0], cells=['a', 'b'], **of)
        request = dict(config=path, config_text=text, method='est', tuning=tuning, seed=7, sweep=sweep)
        cfg, chosen = training_config(request, tmp_path, tmp_path)
        assert chosen == dict(factor=3.0, sweep_scores={'1': 40.0, '3': 50.0}) and cfg.randomness.seed == 7
        assert cfg.optim_wrapper.optimizer.lr == pytest.approx(rate)
        assert cfg.model.backbone.tuning.lr_mult == pytest.approx(factor)


def test_of_steps_that_a_resumed_training_repeats_the_later_ones_count(tmp_path):
    for name, lines in dict(
        a=['{"loss": 3.0, "step": 1}', '{"loss": 2.0, "step": 2}', '{"mIoU": 9.0, "step": 2}', '{"loss": 1.0, "st'],
        b=['{"loss": 2.5, "step": 2}', '{"loss": 1.5, "step": 3}'],
    ).items():
        (tmp_path / name / 'vis_data').mkdir(parents=True)
        (tmp_path / name / 'vis_data' / 'scalars.json').write_text('\n'.join(lines))
    assert losses(tmp_path) == [(1, 3.0), (2, 2.5), (3, 1.5)]


def test_what_is_held_out_is_scored_whole_and_read_as_validation_data(tmp_path):
    """Training leaves out images without an object, and perhaps repeats them; a score is of all."""
    images = [dict(id=i, file_name=f'{i}.png') for i in range(40)]
    (tmp_path / 'train.json').write_text(json.dumps(dict(images=images, annotations=[], categories=[])))
    empty = dict(filter_cfg=dict(filter_empty_gt=True))
    train = dict(
        type='DOTADataset', data_root=str(tmp_path), ann_file='train.json', data_prefix=dict(img='images'), **empty
    )
    val = dict(type='CocoDataset', test_mode=True, ann_file='val.json', data_prefix=dict(img='other'), **empty)
    cfg = Config(
        dict(
            train_dataloader=dict(dataset=dict(train, pipeline=['train'])),
            val_dataloader=dict(dataset=dict(val, pipeline=['val'], indices=[0, 1])),
            val_evaluator=dict(type='CocoMetric', ann_file='val.json'),
        )
    )
    hold_out(cfg, 0.3, tmp_path / 'parts')
    held = cfg.val_dataloader.dataset.to_dict()
    file = held.pop('ann_file')
    kept = dict(type='CocoDataset', test_mode=True, data_root=str(tmp_path), data_prefix=dict(img='images'))
    assert held == dict(kept, pipeline=['val']) and cfg.val_evaluator.ann_file == file
    assert cfg.train_dataloader.dataset.filter_cfg == dict(filter_empty_gt=True)
    assert len(json.loads(Path(file).read_text())['images']) < 20


def test_merged_detections_are_scored_on_the_held_out_pictures(tmp_path):
    names = [f'P{i:04d}' for i in range(12)]
    for kind, files in (('patches', [f'{n}__{x}__0' for n in names for x in (0, 824)]), ('images', names)):
        images = [dict(id=i, file_name=f'{name}.png') for i, name in enumerate(files)]
        annotations = [dict(id=i, image_id=i, category_id=1) for i in range(len(files))]
        content = dict(images=images, annotations=annotations, categories=[dict(id=1, name='ship')])
        (tmp_path / f'train_{kind}.json').write_text(json.dumps(content))
    cfg = Config(
        dict(
            train_dataloader=dict(dataset=dict(type='DOTADataset', ann_file=str(tmp_path / 'train_patches.json'))),
            val_dataloader=dict(dataset=dict(type='DOTADataset', ann_file='val_patches.json', pipeline=[])),
            val_evaluator=dict(type='DOTABoxMetric', ann_file='val_images.json'),
        )
    )
    hold_out(cfg, 0.3, tmp_path / 'parts')
    patches = json.loads(Path(cfg.val_dataloader.dataset.ann_file).read_text())['images']
    truth = json.loads(Path(cfg.val_evaluator.ann_file).read_text())
    pictures = [Path(image['file_name']).stem for image in truth['images']]
    assert sorted({picture_of(Path(image['file_name']).stem) for image in patches}) == pictures
    assert 0 < len(pictures) < 12 and len(patches) == 2 * len(pictures)
    assert {a['image_id'] for a in truth['annotations']} == {image['id'] for image in truth['images']}


def test_a_part_is_not_held_out_of_some_images(tmp_path):
    cfg = Config(
        dict(train_dataloader=dict(dataset=dict(type='CocoDataset', indices=[0, 1])), val_dataloader=dict(dataset={}))
    )
    with pytest.raises(ValueError, match='trains on some of its images'):
        hold_out(cfg, 0.2, tmp_path)


def test_the_metrics_of_dota_have_a_main_one():
    assert main_metric({'dota/pictures': 3.0, 'dota/AP50': 71.5}) == ('AP50', 71.5)


def test_the_scores_of_dior_r_are_shown_in_per_cent_like_those_of_dior():
    evaluator = Config.fromfile(configs_root() / '_base_/datasets/dior_oriented.py').val_evaluator
    assert [in_percent(f'{evaluator.prefix}/{name}', 0.7) for name in ('mAP', 'AP50')] == pytest.approx([70, 70])


@pytest.mark.parametrize(
    'name, value, shown',
    [
        ('coco/bbox_mAP_50', 0.5, 50),
        ('coco/segm_mAP', 0.5, 50),
        ('coco/AR@100', 0.5, 50),
        ('pascal_voc/mAP', 0.7, 70),
        ('pascal_voc/AP50', 0.758, 75.8),
        ('dota/mAP', 0.4, 40),
        ('dota/AP50', 75.7, 75.7),
        ('mIoU', 88.4, 88.4),
        ('mDice', 90.0, 90.0),
        ('aAcc', 97.1, 97.1),
    ],
)
def test_a_metric_in_percent(name, value, shown):
    assert in_percent(name, value) == pytest.approx(shown)
