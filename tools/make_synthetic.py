"""Draw the embedded data set: overhead scenes with COCO boxes and semantic masks, in a source and a target domain.

Examples:
    python tools/make_synthetic.py data/synthetic
    python tools/make_synthetic.py data/synthetic --images 1000 --size 256

The folder then holds source/ and target/, each with images/, masks/ and annotations/ for train and val. A second call
with the same parameters finds it done.
"""

import argparse
import sys

from rich.progress import Progress

from mmest.datasets.synthetic import DOMAINS, write_dataset


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('out', metavar='OUT', help='folder to write')
    parser.add_argument(
        '--images',
        metavar='N',
        type=int,
        default=256,
        help='training pictures per domain; there are a quarter as many for validation (default: 256)',
    )
    parser.add_argument('--size', metavar='S', type=int, default=128, help='side of a picture in pixels (default: 128)')
    args = parser.parse_args()
    if args.images < 1:
        parser.error(f'--images should be at least 1, but it is {args.images}.')
    return args


def main() -> None:
    args = parse_args()
    images = {domain: dict(train=args.images, val=max(1, args.images // 4)) for domain in DOMAINS}
    with Progress() as bars:
        bar = bars.add_task('drawing scenes', total=None)
        try:
            written = write_dataset(
                args.out, images, args.size, progress=lambda done, total: bars.update(bar, completed=done, total=total)
            )
        except (FileExistsError, ValueError) as error:
            sys.exit(f'error: {error}')
    print(f'{args.out}: {"written" if written else "already there"}')


if __name__ == '__main__':
    main()
