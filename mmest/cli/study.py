"""Write the study of a grid. It says in plain words what was measured, what that says, and what is missing."""

import argparse
from pathlib import Path

from mmengine.logging import MMLogger

from mmest.benchmark.grid import read_asked
from mmest.benchmark.tables.results import read_results
from mmest.benchmark.tables.study import read_trials, study
from mmest.cli._refusal import refusing
from mmest.files import write_bytes

EPILOG = """\
examples:
  mmest study benchmarks/grids/accuracy.py --records benchmarks/results --trials benchmarks/trials --out docs/study.md

The same input gives the same page.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('grid', metavar='GRID', help='the grid that the study is about')
    parser.add_argument('--records', type=Path, required=True, metavar='DIR', help='JSON files of mmest benchmark')
    parser.add_argument('--trials', type=Path, metavar='DIR', help='JSON files of trials')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE.md', help='the page')


def run(args: argparse.Namespace) -> None:
    MMLogger.get_current_instance().setLevel('ERROR')  # it would tell of every environment variable in a config
    with refusing():
        asked, results = read_asked(args.grid), read_results([args.records])
        trials = read_trials(args.trials) if args.trials else []
    write_bytes(args.out, study(asked, results, trials).encode())
    print(f'Wrote {args.out}.')
