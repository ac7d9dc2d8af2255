"""Say which tuning methods fit into a memory budget, and with which batch and image size; no GPU, no data, no
weights.
"""

import sys
from pathlib import Path

from options import command

EPILOG = """\
examples:
  # which methods train on a card with 8 GiB, and how far they go
  python tools/plan_memory.py configs/detection/dior/faster-rcnn_swin-t_est.py --budget 8GiB --size 800 800

  # only some of them, kept as JSON
  python tools/plan_memory.py CONFIG --budget 24GB --tunings full est --out plan.json

how it is found: the backbone under each method runs on fake tensors, at any size; the rest of the step is measured on
small images and carried over, operator by operator. The figure is the live peak in fp32, as tools/measure_memory.py
measures it. A CUDA context (some hundred MB) and the gaps of CUDA's allocator come on top: leave room for them in the
budget.
"""


def main() -> None:
    parser = command(__doc__, EPILOG)
    parser.add_argument('config', metavar='CONFIG', help='a config of mmdet or mmseg that uses TunedBackbone')
    parser.add_argument('--budget', required=True, metavar='BYTES', help='such as 8GiB or 24GB')
    parser.add_argument('--tunings', nargs='+', metavar='NAME', help='files of configs/_base_/tunings (default: all)')
    parser.add_argument(
        '--size',
        nargs=2,
        type=int,
        default=[512, 512],
        metavar=('H', 'W'),
        help='image size to find the largest batch for (default: 512 512)',
    )
    parser.add_argument(
        '--batch-size', type=int, default=2, metavar='N', help='batch to find the largest image for (default: 2)'
    )
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='also write the plan there')
    args = parser.parse_args()
    from mmengine.logging import MMLogger
    from rich.console import Console
    from rich.progress import Progress

    from mmest.configs import available_tunings, load_tuning, read_config
    from mmest.files import write_json
    from mmest.measure.memory.compare import FULL, versions
    from mmest.measure.planner.plan import PARTS, parse_bytes, plan
    from mmest.measure.planner.report import plan_table

    MMLogger.get_current_instance().setLevel('ERROR')  # it would list how every parameter is initialised
    try:
        budget, size = parse_bytes(args.budget), tuple(args.size)
        if args.batch_size < 1 or min(size) < 32:
            raise ValueError(
                f'A batch of at least one image of at least 32×32 pixels is needed, not {args.batch_size} of '
                f'{size[0]}×{size[1]}.'
            )
        tunings = {name: load_tuning(name) for name in args.tunings or available_tunings()}
        cfg = read_config(args.config, tuning=FULL)
        with Progress() as progress:
            task = progress.add_task('', total=PARTS * len(tunings))
            plans = plan(
                cfg,
                tunings,
                budget,
                size,
                args.batch_size,
                lambda name: progress.update(task, advance=1, description=name),
            )
    except (ValueError, TypeError, FileNotFoundError) as error:
        sys.exit(f'plan_memory: {error}')
    Console().print(plan_table(args.config, plans, budget, size, args.batch_size))
    if args.out:
        write_json(
            args.out,
            dict(
                config=args.config,
                budget=budget,
                size=list(size),
                batch_size=args.batch_size,
                versions=versions(),
                plans={name: one._asdict() for name, one in plans.items()},
            ),
        )
        print(f'Wrote {args.out}')


if __name__ == '__main__':
    main()
