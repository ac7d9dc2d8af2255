"""Show what a data set of yours holds: counts, classes, sizes, warnings, and a page of labelled images."""

import argparse
import shlex
from pathlib import Path

from rich.table import Table
from rich.text import Text

from mmest.cli._options import add_bands, seed
from mmest.cli._refusal import refusing
from mmest.console import plain_console
from mmest.datasets.own.contact_sheet import contact_sheet
from mmest.datasets.own.detect import read
from mmest.datasets.own.levels import find_levels
from mmest.datasets.own.look import Facts, look, size_groups, splits_of
from mmest.datasets.own.prepared_official import official_set
from mmest.datasets.own.results import LOOK
from mmest.datasets.own.sample import OwnData, name_of
from mmest.pictures.colours import class_colours
from mmest.pictures.decoders.bands import as_option

EPILOG = """\
examples:
  mmest data look ~/Downloads/planes.v1.coco
  mmest data look city.gpkg --out city.png

DATA is a folder of COCO JSON, YOLO, Pascal VOC, images and masks, or GeoTIFF with vector labels, or the file that
describes it. Nothing in it is changed.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('data', type=Path, metavar='DATA', help='a folder, or the file that describes it')
    parser.add_argument(
        '--out', type=Path, metavar='FILE.png', help='the page of images (default: NAME_look.png in this folder)'
    )
    parser.add_argument('--seed', type=seed, default=0, metavar='N', help='of the choice of images (default: 0)')
    add_bands(parser)


def run(args: argparse.Namespace) -> None:
    console = plain_console(soft_wrap=True)
    out = args.out or Path(f'{name_of(args.data)}{LOOK}')
    with refusing():
        data = read(args.data, bands=args.bands)
        _check_out(out, data)
        facts = look(data)
        levels = find_levels(sorted({sample.image for sample in data.samples}), args.bands)
        shown = contact_sheet(data, class_colours(data.classes, data.palette).tolist(), levels, out, args.seed)
    console.print(Text.assemble((str(data.root), 'bold'), f': {data.format}, {_sides(facts)}'))
    console.print(_classes(data, facts))
    if len(facts.sizes):
        groups = ', '.join(f'{share:.0%} {name}' for name, share in size_groups(facts).items() if share)
        console.print(
            f'Objects: {groups}; the middle one is {_middle(facts.sizes):.0f} pixels a side, '
            f'{_middle(facts.shares):.1%} of its image.',
            soft_wrap=False,
        )
    for note in data.notes.lines():
        console.print(f'· {note}')
    for warning in facts.warnings:
        console.print(Text.assemble(('!', 'yellow'), f' {warning}'))
    train = ['mmest', 'train', '--data', str(args.data)]
    train += ['--bands', as_option(args.bands)] if args.bands else []
    official = official_set(args.data)
    following = f'mmest train {" or ".join(official[1])}' if official else shlex.join(train)
    console.print(f'Wrote {out} with {shown} of {len(data.samples)} images. Next: {following}')


def _check_out(out: Path, data: OwnData) -> None:
    """Files of the user's are not written over, but for an earlier page."""
    if out.is_dir():
        raise ValueError(f'{out} is a folder; name the file to write by --out.')
    if not out.exists() or out.name.endswith(LOOK):
        return
    if out.resolve().is_relative_to(data.root.resolve()) or any(out.samefile(one.image) for one in data.samples):
        raise ValueError(f'{out} is a file of the data, and would be written over; name another one by --out.')


def _middle(values) -> float:
    return float(sorted(values)[len(values) // 2])


def _sides(facts: Facts) -> str:
    count = sum(facts.images.values())
    small, middle, large = ('×'.join(map(str, sides)) for sides in facts.sides)
    sides = f'{middle} pixels' if small == large else f'{small} to {large} pixels'
    return f'{count} image{"s" * (count != 1)} of {sides}'


def _classes(data: OwnData, facts: Facts) -> Table:
    """A line a class: objects, or the share of the ground, by split."""
    splits, masks = splits_of(facts), data.labels == 'masks'
    table = Table('class', *(f'{split}' for split in splits), 'all', 'images with it', box=None, pad_edge=False)
    for column in table.columns[1:]:
        column.justify = 'right'
    table.add_row('images', *(str(facts.images[split]) for split in splits), str(sum(facts.images.values())), '')
    totals = {split: sum(counts[split] for counts in facts.objects.values()) for split in splits}
    for label, name in enumerate(data.classes):
        counts = [facts.objects.get(label, {}).get(split, 0) for split in splits]
        cells = [*zip(counts, totals.values()), (sum(counts), sum(totals.values()))]
        texts = [f'{count / max(total, 1):.1%}' if masks else str(count) for count, total in cells]
        table.add_row(name, *texts, str(facts.on_images[label]))
    return table
