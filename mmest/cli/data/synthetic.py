"""Draw the embedded data set of overhead scenes. It has boxes and masks, in a source and a target domain."""

import argparse
from pathlib import Path

from rich.progress import Progress

from mmest.cli._options import at_least
from mmest.cli._refusal import refusing
from mmest.datasets.synthetic import DOMAINS, write_dataset

EPILOG = """\
examples:
  mmest data synthetic data/synthetic
  mmest data synthetic data/synthetic --images 1000 --size 256

The folder then holds source/ and target/, each with images/, masks/ and annotations/ for train and val. A second call
with the same parameters finds it done.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('out', metavar='OUT', type=Path, help='folder to write')
    parser.add_argument(
        '--images',
        metavar='N',
        type=at_least(1),
        default=256,
        help='training images per domain; there are a quarter as many for validation (default: 256)',
    )
    parser.add_argument(
        '--size', metavar='S', type=at_least(32, 4096), default=128, help='side of an image in pixels (default: 128)'
    )


def run(args: argparse.Namespace) -> None:
    images = {domain: dict(train=args.images, val=max(1, args.images // 4)) for domain in DOMAINS}
    with Progress() as bars, refusing(FileExistsError):
        bar = bars.add_task('drawing scenes', total=None)
        written = write_dataset(
            args.out, images, args.size, progress=lambda done, total: bars.update(bar, completed=done, total=total)
        )
    print(f'{args.out}: {"written" if written else "already there"}')
