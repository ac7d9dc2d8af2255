"""Prepare an official data set: from the publisher's download to what the configs read."""

import argparse

from mmest.datasets.preparation.registry import listing

EPILOG = f"""\
data sets:
{listing()}

mmest data prepare NAME --help shows what a data set is made from, and what comes out.

examples:
  mmest data prepare loveda ~/Downloads/LoveDA data/loveda
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('name', metavar='NAME', nargs='?', help='the data set; without it, all are listed')
    parser.add_argument(
        'rest',
        metavar='SOURCE OUT [--workers N]',
        nargs=argparse.REMAINDER,
        help='the download, and the folder to write',
    )


def run(args: argparse.Namespace) -> None:
    if args.name is None:
        print(f'data sets:\n{listing()}')
        return
    from mmest.datasets.preparation.command import main

    main(args.name, args.rest)
