"""Say which methods, batches and images fit into a memory budget. No GPU, no data and no weights are needed."""

import argparse
from collections import Counter

from mmengine.logging import MMLogger
from rich.progress import Progress

from mmest.cli._options import add_config, add_memory, add_size, as_given, at_least, size_of
from mmest.cli._places import file_to_write
from mmest.cli._refusal import refusing
from mmest.configs import available_tunings, load_tuning, read_config
from mmest.console import plain_console
from mmest.files import write_json
from mmest.measure.environment import versions
from mmest.measure.memory.compare import FULL
from mmest.measure.planner.plan import PARTS, parse_bytes, plan
from mmest.measure.planner.report import plan_table

EPILOG = """\
examples:
  # which methods train on a card with 8 GiB, and how far they go
  mmest plan detection/dior/faster-rcnn --budget 8GiB

  # the same with all that saves memory and is safe
  mmest plan detection/dior/faster-rcnn --budget 8GiB --memory lowest

  # only some of them, at another size than the config's, kept as JSON
  mmest plan CONFIG --budget 24GB --size 1024 1024 --tunings full est --out plan.json

how it is found: the backbone under each method runs without data, at any size; neck and head train small steps once
for all methods, which are carried over, operator by operator. The figure is the live peak in fp32, as mmest memory
measures it. A CUDA context (some hundred MB) and the gaps of CUDA's allocator come on top: leave room for them in the
budget.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument('--budget', required=True, metavar='BYTES', help='such as 8GiB or 24GB')
    parser.add_argument('--tunings', nargs='+', metavar='NAME', help='files of configs/_base_/tunings (default: all)')
    add_size(parser, 'image size to find the largest batch for')
    add_memory(parser)
    parser.add_argument(
        '--batch-size',
        type=at_least(1),
        default=2,
        metavar='N',
        help='batch to find the largest image for (default: 2)',
    )
    parser.add_argument('--out', type=file_to_write, metavar='FILE.json', help='also write the plan there')


def run(args: argparse.Namespace) -> None:
    MMLogger.get_current_instance().setLevel('ERROR')  # it would list how every parameter is initialised
    with refusing(TypeError):
        budget = parse_bytes(args.budget)
        cfg = read_config(args.config, tuning=FULL, backbone=args.backbone)
        tunings = {name: load_tuning(name) for name in args.tunings or available_tunings()}
        size = size_of(args, cfg)
        if args.memory:
            cfg.memory = args.memory
        with Progress(console=plain_console()) as progress:
            task = progress.add_task('neck and head, once for all', total=PARTS * len(tunings))
            parts = Counter()

            def advance(name: str) -> None:
                parts[name] += 1
                progress.update(task, advance=1)
                if parts[name] >= PARTS - 2:  # neck and head are done
                    progress.update(task, description=name)
                if parts[name] == PARTS and not progress.console.is_terminal:
                    progress.console.print(f'planned {name}, {len(parts)} of {len(tunings)}')

            plans = plan(cfg, tunings, budget, size, args.batch_size, advance)
    plain_console().print(plan_table(as_given(args), plans, budget, size, args.batch_size))
    if args.out:
        write_json(
            args.out,
            dict(
                config=as_given(args),
                budget=budget,
                size=list(size),
                batch_size=args.batch_size,
                versions=versions(),
                plans={name: one._asdict() for name, one in plans.items()},
            ),
        )
        print(f'Wrote {args.out}')
