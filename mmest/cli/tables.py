"""Make tables and figures of measurements and trainings. They are Markdown, CSV, LaTeX, SVG and PDF."""

import argparse
import os
from pathlib import Path

from mmengine.logging import MMLogger

from mmest.benchmark.grid import read_asked
from mmest.benchmark.tables import families
from mmest.benchmark.tables.held_out import read_sweeps
from mmest.benchmark.tables.model_index import write_index
from mmest.benchmark.tables.page import PAGE, Page
from mmest.benchmark.tables.repeated import read_again
from mmest.benchmark.tables.results import read_results
from mmest.benchmark.tables.study import read_trials, study
from mmest.benchmark.tables.texts import fill, with_overview
from mmest.cli._places import folder_to_write
from mmest.cli._refusal import refusing

EPILOG = """\
examples:
  # from a grid of mmest benchmark
  mmest tables results/ --out tables/

  # from your own trainings, and the memory of one of their models beside
  mmest memory CONFIG --out work_dirs/memory.json
  mmest tables work_dirs/ --out tables/

  # the study of a grid too: in plain words, what was measured of it, what that says, and what is missing
  mmest tables benchmarks/results --study benchmarks/grids/accuracy.py --trials benchmarks/trials --out docs

what is read: the JSON files of mmest benchmark, mmest backbones, mmest memory and mmest time, and work
folders that mmest train made (config, metrics, losses). Methods are compared where their configs have the same
name up to the method. Trainings of one method in work folders that differ in rate, length, batch or levers on memory
have rows of their own; those that differ in the seed alone have their mean.

what is written: OUT/benchmarks.md, the pages behind it in OUT/benchmarks, and in OUT/benchmarks/files each table as
.csv (full precision) and .tex (needs booktabs) and each figure as .svg and .pdf. What was not measured is shown as
missing. OUT/backbones.md is from records of mmest backbones. The same input gives the same files.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        'sources', nargs='+', type=Path, metavar='RESULTS', help='JSON files, folders of them, or work folders'
    )
    parser.add_argument('--out', type=folder_to_write, required=True, metavar='DIR', help='where tables and figures go')
    parser.add_argument('--notes', type=Path, metavar='FILE.md', help='text that ends the page')
    parser.add_argument(
        '--texts',
        nargs='+',
        type=Path,
        default=[],
        metavar='FILE.md',
        help='texts with figures to fill in, such as benchmarks/memory.md, written to DIR',
    )
    parser.add_argument('--study', metavar='GRID', help='write DIR/study.md on this grid')
    parser.add_argument('--trials', type=Path, metavar='DIR', help='JSON files of trials, for the study')
    parser.add_argument(
        '--into',
        nargs='+',
        type=Path,
        default=[],
        metavar='FILE.md',
        help='texts that get the first table between their lines <!-- results --> and <!-- /results -->',
    )
    parser.add_argument(
        '--model-index', type=Path, metavar='DIR', help="write DIR/model-index.yml and metafiles, in OpenMMLab's form"
    )


def run(args: argparse.Namespace) -> None:
    MMLogger.get_current_instance().setLevel('ERROR')  # it would tell of every environment variable in a config
    with refusing():
        notes = args.notes.read_text() if args.notes else None
        tried = families.read_families(args.sources)
        of_results = args.notes or args.texts or args.into or args.study or args.model_index
        results = read_results(args.sources, may_be_none=bool(tried) and not of_results)
        texts = {args.out / path.name: fill(path.read_text(), results) for path in args.texts}
        texts |= {path: with_overview(path.read_text(), results) for path in args.into}
        if args.study:
            trials = read_trials(args.trials) if args.trials else []
            grid = Path(os.path.relpath(args.study, args.out)).as_posix()
            texts[args.out / 'study.md'] = study(
                grid, read_asked(args.study), results, trials, read_again(args.sources), read_sweeps(args.sources)
            )
    if results:
        Page(results, notes).write(args.out)
    if tried:
        texts[args.out / families.PAGE] = families.families_page(tried)
    if args.model_index:
        write_index(results, args.model_index)
    args.out.mkdir(parents=True, exist_ok=True)
    for path, text in texts.items():
        path.write_text(text)
    print(f'Wrote {args.out / (PAGE if results else families.PAGE)} and what it shows.')
