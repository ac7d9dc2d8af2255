"""Write a data set of yours as COCO JSON, or as lists of images and masks, with the images: tiles, classes, splits."""

import argparse
import shlex
from pathlib import Path

from mmest.cli._options import add_bands, at_least, seed
from mmest.cli._refusal import refusing
from mmest.console import plain_console
from mmest.datasets.own.prepare import prepare

EPILOG = """\
examples:
  # a large GeoTIFF with polygons as tiles with boxes
  mmest data make harbour/ harbour_tiles/ --size 640

  # the same polygons as masks
  mmest data make harbour/ harbour_masks/ --task segmentation

What is written stands alone: train --data OUT uses it as it is, and so do other tools. DATA is not changed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('data', type=Path, metavar='DATA', help='a folder, or the file that describes it')
    parser.add_argument('out', type=Path, metavar='OUT', help='the folder to write')
    parser.add_argument(
        '--task', choices=['detection', 'segmentation'], help='boxes or masks (default: what the labels are for)'
    )
    parser.add_argument(
        '--size', type=at_least(32), metavar='N', help='side of tiles (default: 800 for boxes, 512 for masks)'
    )
    parser.add_argument('--seed', type=seed, metavar='N', help='of the split (default: 0)')
    add_bands(parser)


def run(args: argparse.Namespace) -> None:
    console = plain_console(soft_wrap=True)
    with refusing():
        prepared = prepare(args.data, args.out, args.task, args.size, args.seed, copy=True, bands=args.bands)
    counts = ', '.join(f'{count} {split}' for split, count in prepared.counts.items())
    console.print(f'{prepared.format} as {prepared.task}, {len(prepared.classes)} classes: {counts}')
    for note in prepared.notes:
        console.print(f'· {note}')
    train = ['mmest', 'train', '--data', str(args.out)]
    console.print(f'The set is in {prepared.folder}. Next: {shlex.join(train)}')
