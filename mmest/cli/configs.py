"""List what can be combined: data sets, heads, backbones, methods."""

import argparse

from mmest.configs import available_tunings, configs_root

EPILOG = """\
examples:
  mmest configs
  mmest configs loveda
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('part', nargs='?', default='', metavar='PART', help='only those with this in their path')


def run(args: argparse.Namespace) -> None:
    root = configs_root()
    print(f'In {root}; --tuning takes {", ".join(available_tunings())}.')
    for task in ('detection', 'segmentation'):
        for path in sorted((root / task).rglob('*.py')):
            if args.part in (name := path.relative_to(root).as_posix()):
                print(f'  {name}')
