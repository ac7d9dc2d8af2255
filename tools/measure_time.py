"""Measure how long a training step of a config takes, method against method."""
import argparse
import statistics
import sys
from pathlib import Path

EPILOG = """\
examples:
  # EST against full fine-tuning and the frozen floor on the CPU; no data set, nothing downloaded
  python tools/measure_time.py configs/detection/custom/faster-rcnn_swin-t_est.py --tunings full frozen est

  # on a GPU, kept as JSON
  python tools/measure_time.py CONFIG --device cuda --size 800 800 --steps 50 --out time.json

The methods take turns, step by step, in one process, on the same synthetic batch, so that a busy machine slows all of them alike.
The table has the median of the steps after three rounds of warm-up, its share of full fine-tuning, and the quartiles.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('config', metavar='CONFIG', help='a config of mmdet or mmseg that uses TunedBackbone')
    parser.add_argument('--tunings', nargs='+', default=['full', 'frozen', 'partial', 'est'], metavar='NAME',
                        help='files of configs/_base_/tunings (default: full frozen partial est)')
    parser.add_argument('--size', nargs=2, type=int, default=[512, 512], metavar=('H', 'W'),
                        help='image size in pixels (default: 512 512)')
    parser.add_argument('--batch-size', type=int, default=2, metavar='N', help='images in the batch (default: 2)')
    parser.add_argument('--steps', type=int, default=20, metavar='N', help='steps of each method (default: 20)')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='where to train (default: cpu)')
    parser.add_argument('--amp', action='store_true', help='mixed precision, on CUDA')
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='also write all figures there')
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    import torch
    from mmengine.config import Config
    from mmengine.logging import MMLogger
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

    from mmest.engine.atomic import write_json
    from mmest.engine.memory.compare import FULL, prepare, versions
    from mmest.engine.step_time import alternating_step_times
    from mmest.engine.synthetic_batch import synthetic_batch
    from mmest.utils import load_tuning
    MMLogger.get_current_instance().setLevel('ERROR')  # it would list how every parameter is initialised
    size = tuple(args.size)
    try:
        cfg = Config.fromfile(args.config)
        models = {name: prepare(cfg, load_tuning(name), size, args.device, args.amp) for name in args.tunings}
        batch = synthetic_batch(next(iter(models.values()))[0], size, args.batch_size)
    except (ValueError, TypeError, FileNotFoundError) as error:
        sys.exit(f'measure_time: {error}')
    with Progress() as progress:
        task = progress.add_task('steps', total=len(models) * (3 + args.steps))
        times = alternating_step_times(models, batch, 3, args.steps, lambda: progress.advance(task))
    medians = {name: statistics.median(seconds) for name, seconds in times.items()}
    table = Table('method', 'median, s', 'share of full', 'quartiles, s',
                  title=f'{args.config}: a training step, {args.batch_size} × {size[0]}×{size[1]}, {args.device}')
    for name, seconds in times.items():
        low, _, high = statistics.quantiles(seconds, n=4)
        share = f'{medians[name] / medians[FULL]:.2f}' if FULL in medians else 'n/a'
        table.add_row(name, f'{medians[name]:.3f}', share, f'{low:.3f}–{high:.3f}')
    Console().print(table)
    if args.out:
        card = torch.cuda.get_device_name() if args.device == 'cuda' else None
        write_json(args.out, dict(
            config=args.config, size=list(size), batch_size=args.batch_size, device=args.device, card=card,
            threads=torch.get_num_threads(), precision='amp' if args.amp else 'fp32', versions=versions(),
            median_seconds=medians, seconds=times))
        print(f'Wrote {args.out}')


if __name__ == '__main__':
    main()
