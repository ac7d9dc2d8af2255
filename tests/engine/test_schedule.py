"""Schedules that fit the data."""

import pytest
from mmengine.config import Config

from mmest.engine.schedule import RATE, RATE_BATCH, fit_schedule, use_own_rates, use_schedule


def config(optimizer: str = 'AdamW', lr: float = 1e-4, scope: str = 'mmdet') -> Config:
    return Config(
        dict(
            default_scope=scope,
            optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type=optimizer, lr=lr)),
            auto_scale_lr=dict(base_batch_size=16),
            train_dataloader=dict(batch_size=2, sampler=dict(type='DefaultSampler', shuffle=True)),
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1), logger=dict(type='LoggerHook')),
            custom_hooks=[dict(type='ESTHook')],
        )
    )


@pytest.mark.parametrize(
    'images, batch, steps',
    [
        (24, 2, 1200),  # 100 epochs
        (24, 4, 600),
        (100, 2, 1500),  # 30 epochs
        (1000, 4, 3000),  # 12 epochs
        (1, 4, 25),
        (30_000, 16, 22_500),
    ],
)
def test_steps_fit_the_number_of_images(images, batch, steps):
    schedule = fit_schedule(config(), images, batch)
    assert schedule.steps == steps
    assert 2 <= schedule.warmup <= steps / 10 and schedule.warmup <= 500
    assert -(-steps // schedule.interval) in (9, 10)


@pytest.mark.parametrize(
    'optimizer, batch, rate', [('AdamW', 16, 1e-4), ('AdamW', 4, 5e-5), ('SGD', 4, 2.5e-5), ('SGD', 32, 2e-4)]
)
def test_rates_are_scaled_to_the_batch(optimizer, batch, rate):
    assert fit_schedule(config(optimizer), 1000, batch).rate == pytest.approx(rate)


def test_what_is_asked_for_wins():
    schedule = fit_schedule(config(), 1170, 4, iters=77, rate=0.5)
    assert (schedule.steps, schedule.rate) == (77, 0.5)
    assert fit_schedule(config(), 1000, 4, epochs=0.5).steps == 125
    said = str(schedule)
    assert '77 steps of 4 images (0.263 epochs of 1170)' in said and 'rate 0.5 (as asked for)' in said


def test_one_of_a_thing_is_said_so():
    said = str(fit_schedule(config(), 4, 4, iters=1))
    assert said.startswith('1 step of 4 images (1 epoch of 4), ') and said.endswith('evaluated every step')


@pytest.mark.parametrize('scope, metric', [('mmdet', 'coco/bbox_mAP'), ('mmseg', 'mIoU')])
def test_the_config_trains_by_it(scope, metric):
    cfg = config(scope=scope)
    use_own_rates(cfg)
    schedule = fit_schedule(cfg, 24, 4)
    use_schedule(cfg, schedule)
    assert cfg.optim_wrapper.optimizer.lr == RATE and RATE_BATCH == 4
    assert cfg.train_cfg == dict(type='IterBasedTrainLoop', max_iters=600, val_interval=60)
    assert [(one.begin, one.end) for one in cfg.param_scheduler] == [(0, 60), (60, 600)]
    assert (cfg.default_hooks.checkpoint.save_best, cfg.default_hooks.checkpoint.rule) == (metric, 'greater')
    assert (cfg.train_dataloader.batch_size, cfg.train_dataloader.sampler.type) == (4, 'InfiniteSampler')
    assert cfg.optim_wrapper.clip_grad == dict(max_norm=5.0) and not cfg.auto_scale_lr.enable
    heads = cfg.optim_wrapper.paramwise_cfg.custom_keys
    assert {heads[name].lr_mult for name in ('neck', 'bbox_head', 'decode_head')} == {5.0} and 'backbone' not in heads
    assert [hook.type for hook in cfg.custom_hooks] == ['ESTHook', 'EarlyStoppingHook']
    use_schedule(cfg, schedule)  # again: nothing is there twice
    assert [hook.type for hook in cfg.custom_hooks] == ['ESTHook', 'EarlyStoppingHook']


@pytest.mark.parametrize(
    'scores, ends', [([0.3, 0.3, 0.3, 0.3, 0.3], False), ([0.3] * 6, True), ([0.3] * 5 + [0.31], False)]
)
def test_equal_scores_bring_nothing(scores, ends):
    from mmengine.registry import HOOKS

    cfg = config()
    use_schedule(cfg, fit_schedule(cfg, 24, 4))
    hook = HOOKS.build(cfg.custom_hooks[-1])
    ended = [hook._check_stop_condition(score)[0] for score in scores]
    assert (True in ended) is ends


@pytest.mark.parametrize('steps', [1, 2, 19])
def test_a_few_steps_have_no_warmup(steps):
    cfg = config()
    use_schedule(cfg, fit_schedule(cfg, 24, 4, iters=steps))
    assert [(one.type, one.begin, one.end) for one in cfg.param_scheduler] == [('CosineAnnealingLR', 0, steps)]


def test_the_rate_rises_to_its_full_value_and_falls_to_nothing():
    import torch
    from mmengine.registry import PARAM_SCHEDULERS

    cfg = config()
    use_schedule(cfg, fit_schedule(cfg, 24, 4, iters=20))
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=cfg.optim_wrapper.optimizer.lr)
    schedulers = [PARAM_SCHEDULERS.build(dict(one, optimizer=optimizer)) for one in cfg.param_scheduler]
    rates = []
    for _ in range(20):
        rates.append(optimizer.param_groups[0]['lr'])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    assert max(rates) == pytest.approx(cfg.optim_wrapper.optimizer.lr, rel=0.02)
    assert rates[0] < 0.02 * max(rates) and rates[-1] < 0.02 * max(rates)
