"""List the tuning methods: what each trains, where, at what cost."""

import argparse

from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from rich.box import SIMPLE
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

from mmest.cli._options import add_config
from mmest.cli._refusal import refusing
from mmest.configs import available_tunings, load_tuning, open_config, own_methods, tuned_backbone_of
from mmest.frameworks import import_framework
from mmest.measure.overview import overview

EPILOG = """\
examples:
  # on Swin-B
  mmest methods

  # on the backbone of a config
  mmest methods detection/custom/retinanet --backbone r50

"trains" counts what trains in and beside the backbone. "graph" tells how many blocks, counted back from the last one,
the gradient has to cross: their activations are kept, and that is what memory is spent on. Methods that merge leave
an ordinary backbone behind (mmest export --merge). Any of the names goes with mmest train CONFIG --tuning NAME.
Methods of yours that the config registers by its custom_imports are listed too, by their classes.
No data set and no weights are needed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser, 'whose backbone to list for (default: detection/custom/faster-rcnn_swin-b)', nargs='?')


def run(args: argparse.Namespace) -> None:
    MMLogger.get_current_instance().setLevel('ERROR')  # it would list how every parameter is initialised
    with refusing():
        cfg = open_config(args.config or 'mmest::detection/custom/faster-rcnn_swin-b', backbone=args.backbone)
        import_framework(cfg)
        backbone = tuned_backbone_of(cfg)['backbone']
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    found, refused = {}, {}
    for name in track([*available_tunings(), *own_methods()], 'methods', transient=True, console=Console(stderr=True)):
        try:
            found[name] = overview(backbone, load_tuning(name))
        except ValueError as error:
            refused[name] = str(error)
    table = Table(
        # Names to be typed and figures are whole on narrow terminals too; what they leave is for the two texts.
        Column('name', no_wrap=True),
        Column('trains', justify='right', no_wrap=True),
        Column('share', justify='right', no_wrap=True),
        Column('graph', justify='right', no_wrap=True),
        'merges',
        Column('acts on', overflow='fold'),
        Column('source', overflow='fold'),
        title=f'Tuning methods on {backbone.type} of {cfg.filename}',
        title_justify='left',
        box=SIMPLE,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for family in ('selective', 'inserted', 'beside'):
        table.add_row(f'[bold]{family}[/bold]')
        rows = {name: row for name, row in found.items() if row.family == family}
        for name, row in sorted(rows.items(), key=lambda item: item[1].trained):
            table.add_row(
                f' {name}',
                f'{row.trained / 1e6:.2f} M',
                f'{row.trained / row.total:.2%}',
                f'{row.graph} of {row.blocks}',
                'yes' if row.merges else 'no',
                row.acts_on,
                row.source,
            )
    Console().print(table)
    for name, reason in refused.items():
        print(f'{name}: {reason}')
