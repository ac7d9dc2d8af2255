"""Make tables and figures from measurements and trainings: Markdown, CSV, LaTeX, SVG, PDF."""

import sys
from pathlib import Path

from options import command

EPILOG = """\
examples:
  # from a grid of tools/benchmark.py
  python tools/make_tables.py results/ --out tables/

  # from your own trainings, and the memory of one of their models beside
  python tools/measure_memory.py CONFIG --out work_dirs/memory.json
  python tools/make_tables.py work_dirs/ --out tables/

what is read: the JSON files of tools/benchmark.py, tools/measure_memory.py and tools/measure_time.py, and work
folders that tools/train.py made (config, metrics, losses). Methods are compared where their configs have the same
name up to the method.

what is written: OUT/benchmarks.md, and in OUT/benchmarks each table as .csv (full precision) and .tex (needs
booktabs) and each figure as .svg and .pdf. What was not measured is shown as missing. The same input gives the same
files.
"""


def main() -> None:
    parser = command(__doc__, EPILOG)
    parser.add_argument(
        'sources', nargs='+', type=Path, metavar='RESULTS', help='JSON files, folders of them, or work folders'
    )
    parser.add_argument('--out', type=Path, required=True, metavar='DIR', help='where tables and figures go')
    parser.add_argument('--notes', type=Path, metavar='FILE.md', help='text that ends the page')
    parser.add_argument(
        '--texts',
        nargs='+',
        type=Path,
        default=[],
        metavar='FILE.md',
        help='texts with figures to fill in, such as benchmarks/memory.md, written to DIR',
    )
    args = parser.parse_args()
    from mmengine.logging import MMLogger

    from mmest.benchmark.tables.page import PAGE, Page
    from mmest.benchmark.tables.results import read_results
    from mmest.benchmark.tables.texts import fill

    MMLogger.get_current_instance().setLevel('ERROR')  # it would tell of every environment variable in a config
    try:
        notes = args.notes.read_text() if args.notes else None
        results = read_results(args.sources)
        texts = {path.name: fill(path.read_text(), results) for path in args.texts}
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f'make_tables: {error}')
    Page(results, notes).write(args.out)
    for name, text in texts.items():
        (args.out / name).write_text(text)
    print(f'Wrote {args.out / PAGE} and what it shows.')


if __name__ == '__main__':
    main()
