"""Measure the time of a training step, method against method."""

import argparse
import statistics
from pathlib import Path

from mmengine.logging import MMLogger
from rich.progress import Progress
from rich.table import Table

from mmest.cli._options import add_step_options, as_given, at_least, step_of
from mmest.cli._refusal import refusing
from mmest.configs import head_and_backbone, load_tuning
from mmest.console import plain_console
from mmest.files import write_json
from mmest.measure.batch_of_one import explaining_batches_of_one
from mmest.measure.environment import environment
from mmest.measure.memory.compare import FULL
from mmest.measure.ready import prepare, with_method
from mmest.measure.step_time import alternating_step_times
from mmest.measure.synthetic_batch import synthetic_batch

EPILOG = """\
examples:
  # EST against full fine-tuning and the frozen floor on the CPU; no data set, nothing downloaded
  mmest time detection/custom/faster-rcnn --tunings full frozen est

  # on a GPU, kept as JSON
  mmest time CONFIG --device cuda --size 800 800 --steps 50 --out time.json

The methods take turns, step by step, in one process, on the same synthetic batch, so that a busy machine slows all of
them alike. Learning rates are zero meanwhile, so that every step does the same work. The table has the median of the
steps after three rounds of warm-up, its share of full fine-tuning, and the quartiles.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_step_options(parser)
    parser.add_argument('--steps', type=at_least(2), default=20, metavar='N', help='steps of each method (default: 20)')


def run(args: argparse.Namespace) -> None:
    MMLogger.get_current_instance().setLevel('ERROR')  # it would list how every parameter is initialised
    with refusing(TypeError):
        cfg, size = step_of(args)
        tunings = {name: load_tuning(name) for name in args.tunings}
        models = {name: prepare(cfg, tuning, size, args.device, args.precision) for name, tuning in tunings.items()}
        levers = {name: list(with_method(cfg, tuning).get('memory') or []) for name, tuning in tunings.items()}
        batch = synthetic_batch(next(iter(models.values()))[0], size, args.batch_size)
    with refusing(), explaining_batches_of_one(), Progress() as progress:
        task = progress.add_task('steps', total=len(models) * (3 + args.steps))
        times = alternating_step_times(models, batch, 3, args.steps, lambda: progress.advance(task))
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    table = Table(
        'method',
        'median, s',
        'share of full',
        'quartiles, s',
        title=f'{as_given(args)}: a training step, {args.batch_size} × {size[0]}×{size[1]}, {args.device}',
    )
    for name, seconds in times.items():
        low, _, high = statistics.quantiles(seconds, n=4)
        share = f'{medians[name] / medians[FULL]:.2f}' if FULL in medians else 'n/a'
        table.add_row(name, f'{medians[name]:.3f}', share, f'{low:.3f}–{high:.3f}')
    plain_console().print(table)
    if args.out:
        write_json(
            args.out,
            dict(
                config=args.config,
                head_and_backbone=head_and_backbone(Path(cfg.filename).stem),
                size=list(size),
                batch_size=args.batch_size,
                device=args.device,
                precision=args.precision,
                memory=levers,
                seconds=times,
                **environment(args.device),
            ),
        )
        print(f'Wrote {args.out}')
