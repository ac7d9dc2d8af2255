"""Write a page about trainings: curves, classes, images, memory."""

import argparse
from pathlib import Path

from rich.progress import Progress

from mmest.cli._places import default_to_write, file_to_write
from mmest.cli._refusal import refusing
from mmest.console import plain_console
from mmest.engine.quiet import LogFile, all_to
from mmest.report.page import write_report
from mmest.report.run import read_run

EPILOG = """\
examples:
  # writes work_dirs/planes/report.html: one file, to open in a browser or to send
  mmest report work_dirs/planes

  # several trainings of one task, side by side
  mmest report work_dirs/planes_est work_dirs/planes_full --out compare.html

The best checkpoint of each work folder (else the newest) runs on the validation data of its config.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('folders', nargs='+', type=Path, metavar='WORK_DIR', help='work folders of trainings')
    parser.add_argument(
        '--out',
        type=file_to_write,
        metavar='FILE.html',
        help='the page (default: report.html in the first work folder)',
    )


def run(args: argparse.Namespace) -> None:
    console = plain_console()
    with refusing(), Progress(console=console, transient=True) as bars:
        runs = [read_run(folder) for folder in args.folders]
        out = args.out or default_to_write(args.folders[0] / 'report.html')
        tasks: dict[str, int] = {}

        def progress(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done, total=total)

        # What libraries say of an evaluation is worth no file: the page is the result.
        with all_to(LogFile(out.with_suffix('.log'))):
            write_report(runs, out, progress)
    console.print(f'Wrote {out}', soft_wrap=True)
