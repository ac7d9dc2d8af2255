"""Schedules that fit the data: how long to train, at which rate, and when to look."""

from dataclasses import dataclass

from mmengine.config import Config, ConfigDict

from mmest.datasets.checks.report import count

# The least that a small set is trained, unless that is more than EPOCHS of it; a large one LEAST_EPOCHS. Below STEPS a
# head that starts from nothing has not settled.
STEPS, EPOCHS, LEAST_EPOCHS = 1500, 100, 12
_EVALUATIONS, _PATIENCE = 10, 5
_WARMUP, _LONGEST_WARMUP = 0.1, 500
_METRICS = dict(mmdet='coco/bbox_mAP', mmseg='mIoU')
# Of AdamW, for RATE_BATCH images in a step: the rate of full fine-tuning that sweeps on aerial images chose. Necks and
# heads, which start from nothing, have HEAD_RATE times as much, and a tuning method its own factor, lr_mult.
RATE, RATE_BATCH, HEAD_RATE = 2e-4, 4, 5.0
_HEADS = ('neck', 'rpn_head', 'roi_head', 'bbox_head', 'decode_head', 'auxiliary_head')
_LARGEST_GRADIENT = 5.0


@dataclass(frozen=True)
class Schedule:
    """A training as long as its data needs.

    Attributes:
        images: that train.
        batch: of them in a step.
        steps: in all.
        rate: of the optimizer.
        why_rate: what the rate comes from, in words.
    """

    images: int
    batch: int
    steps: int
    rate: float
    why_rate: str

    @property
    def warmup(self) -> int:
        """Steps in which the rate rises; none where a tenth is less than two."""
        steps = min(_LONGEST_WARMUP, int(self.steps * _WARMUP))
        return steps if steps > 1 else 0

    @property
    def interval(self) -> int:
        """Steps between evaluations."""
        return max(1, -(-self.steps // _EVALUATIONS))

    def __str__(self) -> str:
        epochs = self.steps * self.batch / self.images
        epochs = round(epochs, 1 if epochs >= 1 else 3)
        warmup = f' after {self.warmup} steps of warm-up' if self.warmup else ''
        return (
            f'{count(self.steps, "step")} of {count(self.batch, "image")} ({epochs:.4g} epoch{"s" * (epochs != 1)} of '
            f'{self.images}), base rate {self.rate:.2g} ({self.why_rate}){warmup}, '
            f'evaluated every {"step" if self.interval == 1 else f"{self.interval} steps"}'
        )


def fit_schedule(
    cfg: Config,
    images: int,
    batch: int,
    epochs: float | None = None,
    iters: int | None = None,
    rate: float | None = None,
) -> Schedule:
    """A schedule for a number of images.

    Args:
        cfg: a config whose optimizer and ``auto_scale_lr`` say the rate and the batch that it is for.
        images: that train.
        batch: of them in a step.
        epochs: how often each is seen (default: as it fits).
        iters: steps, in place of epochs.
        rate: of the optimizer (default: the config's, scaled to the batch).
    """
    if iters is None:
        # at least LEAST_EPOCHS; for small sets STEPS, unless that is more than EPOCHS
        of_epochs = -(-int((epochs or LEAST_EPOCHS) * images) // batch)
        iters = of_epochs if epochs else max(of_epochs, min(STEPS, -(-EPOCHS * images // batch)))
    optimizer = cfg.optim_wrapper.optimizer
    base = (cfg.get('auto_scale_lr') or {}).get('base_batch_size', batch)
    if rate is not None:
        why = 'as asked for'
    elif optimizer.type.startswith('Adam'):
        rate, why = optimizer.lr * (batch / base) ** 0.5, f'{optimizer.lr:g} for {base} images, by the square root'
    else:
        rate, why = optimizer.lr * batch / base, f'{optimizer.lr:g} for {base} images, in proportion'
    return Schedule(images, batch, iters, rate, why)


def use_own_rates(cfg: Config) -> None:
    """Give heads, which start from nothing, a higher rate than the backbone, and bound the gradients; in place."""
    optim_wrapper = cfg.optim_wrapper
    optim_wrapper.optimizer.lr = RATE
    cfg.auto_scale_lr = ConfigDict(enable=False, base_batch_size=RATE_BATCH)
    optim_wrapper.clip_grad = ConfigDict(max_norm=_LARGEST_GRADIENT)
    keys = optim_wrapper.setdefault('paramwise_cfg', ConfigDict()).setdefault('custom_keys', ConfigDict())
    for name in _HEADS:
        keys[name] = ConfigDict(lr_mult=HEAD_RATE)


def use_schedule(cfg: Config, schedule: Schedule) -> None:
    """Train by a schedule, keep the best checkpoint, and stop early where nothing is gained; in place."""
    steps, interval = schedule.steps, schedule.interval
    cfg.train_cfg = ConfigDict(type='IterBasedTrainLoop', max_iters=steps, val_interval=interval)
    warmup = ConfigDict(type='LinearLR', start_factor=0.01, by_epoch=False, begin=0, end=schedule.warmup)
    fall = ConfigDict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=schedule.warmup, end=steps)
    cfg.param_scheduler = [warmup, fall] if schedule.warmup else [fall]
    cfg.optim_wrapper.optimizer.lr = schedule.rate
    cfg.auto_scale_lr = ConfigDict(enable=False, base_batch_size=schedule.batch)
    cfg.train_dataloader.batch_size = schedule.batch
    cfg.train_dataloader.sampler = ConfigDict(type='InfiniteSampler', shuffle=True)
    metric = _METRICS[cfg.default_scope]
    cfg.default_hooks.checkpoint = ConfigDict(
        type='CheckpointHook', by_epoch=False, interval=interval, max_keep_ckpts=2, save_best=metric, rule='greater'
    )
    cfg.default_hooks.logger.update(interval=min(50, interval), log_metric_by_epoch=False)
    cfg.log_processor = ConfigDict(type='LogProcessor', window_size=50, by_epoch=False)
    cfg.custom_hooks = [
        *(hook for hook in cfg.get('custom_hooks', []) if hook['type'] != 'EarlyStoppingHook'),
        # With a min_delta of zero an equal score would count as a better one.
        ConfigDict(type='EarlyStoppingHook', monitor=metric, rule='greater', min_delta=1e-9, patience=_PATIENCE),
    ]
