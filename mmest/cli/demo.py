"""Show where a side network matters, and where it does not. A small backbone is pretrained on one domain of the
embedded data set and adapted to the other by Full, Frozen and EST, under two heads.
"""

import argparse
import sys
from pathlib import Path

from mmest.demo import run_demo

EPILOG = """\
examples:
  mmest demo
  mmest demo --fresh                    # forget what finished before
  mmest demo --work-dir /data/demo
  mmest train demo/retinanet_swin_est   # afterwards: the boxes of the same images

It ends with a table, a sentence on each head, pictures, and a report page in the work dir. One that was stopped goes on
at the part where it stopped.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--work-dir',
        metavar='DIR',
        type=Path,
        default=Path('work_dirs/demo'),
        help='folder of data, runs and pictures (default: work_dirs/demo)',
    )
    parser.add_argument('--fresh', action='store_true', help='run every part again')


def run(args: argparse.Namespace) -> None:
    try:
        run_demo(args.work_dir, args.fresh)
    except KeyboardInterrupt:
        sys.exit('\nStopped. What is finished is kept; run the demo again to go on.')
