"""List what can be combined: data sets, heads, backbones, methods.

With CONFIG: print the whole config, as a run would take it.
"""

import argparse
from collections import defaultdict
from itertools import takewhile

from rich.console import Console
from rich.table import Table

from mmest.cli._options import add_config
from mmest.cli._refusal import Refusal, refusing
from mmest.configs import available_backbones, available_tunings, configs_root, load_tuning, open_config
from mmest.configs.names import shipped_configs
from mmest.tuning import TUNINGS

EPILOG = """\
examples:
  mmest configs
  mmest configs detection/dior/faster-rcnn --backbone vit-b --tuning lora
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser, 'print this one', nargs='?')
    parser.add_argument('--tuning', metavar='NAME', help="a method instead of the config's")


def run(args: argparse.Namespace) -> None:
    if args.config:
        with refusing():
            print(open_config(args.config, args.tuning, args.backbone).pretty_text)
        return
    if args.tuning or args.backbone:
        raise Refusal('--backbone and --tuning go with a CONFIG; name one, or leave them out for the list.')
    console = Console(highlight=False)
    heads = defaultdict(list)
    for name in shipped_configs():
        folder, _, head = name.rpartition('/')
        heads[folder].append(head)
    _show(console, f'configs, in {configs_root()}', {f'{folder}/': '  '.join(found) for folder, found in heads.items()})
    _show(console, '--backbone', {name: _first_line('backbones', name) for name in available_backbones()})
    _show(console, '--tuning', {name: _summary(name) for name in available_tunings()})
    console.print('One of each: mmest train detection/dior/faster-rcnn --backbone swin-b --tuning lora', soft_wrap=True)


def _show(console: Console, title: str, rows: dict[str, str]) -> None:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    table.add_column(no_wrap=True)
    table.add_column()
    for name, text in rows.items():
        table.add_row(name, text)
    console.print(title, soft_wrap=True, markup=False)
    console.print(table)
    console.print()


def _first_line(kind: str, name: str) -> str:
    """The first sentence of the comment that a base file begins with."""
    lines = (configs_root() / '_base_' / kind / f'{name}.py').read_text(encoding='utf-8').splitlines()
    comment = takewhile(lambda line: line.startswith('#'), lines)
    return ' '.join(line.removeprefix('#').strip() for line in comment).partition('. ')[0].rstrip('.')


def _summary(name: str) -> str:
    """The first sentence of the docstring of a method's class."""
    text = TUNINGS.get(load_tuning(name).type).__doc__ or ''
    return ' '.join(text.partition('\n\n')[0].split()).partition('. ')[0].rstrip('.')
