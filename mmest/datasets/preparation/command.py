"""The command line that all preparations share."""

import argparse
import importlib
import os
import shutil
import sys
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path

from mmest.datasets.preparation.source import list_source
from mmest.datasets.preparation.summary import summarize
from mmest.datasets.preparation.work import HIDDEN, Journal, run_jobs

JOURNAL = 'journal.jsonl'
EPILOG = """
SOURCE may be unpacked, zip archives as they were downloaded, or a mixture. Pictures are decoded to their end; what is
damaged or missing is listed by file, here and in OUT/problems.txt, and the exit status is then 1. A run that was
interrupted goes on where it stopped when the same command is given again.
"""


def prepare(module: str, source: Path, out: Path, workers: int) -> bool:
    """Prepare a data set.

    Args:
        module: name of a module of :mod:`mmest.datasets.official`.
        source: the download.
        out: the folder to write.
        workers: number of processes.

    Returns:
        Whether everything that was found could be used.

    Raises:
        FileNotFoundError: there is no such source.
        FileExistsError: ``out`` holds something else.
        ValueError: the source is not this data set.
    """
    dataset = importlib.import_module(module)
    hidden = out / HIDDEN
    if out.exists() and not hidden.is_dir() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(
            f'{out} holds something else than a prepared data set. Choose a folder that is new or empty.'
        )
    files, problems = list_source(source, hidden / 'archives')
    try:
        jobs, missing = dataset.plan(files)
    except ValueError as error:
        if not (hidden / JOURNAL).exists():
            shutil.rmtree(out, ignore_errors=True)  # made here, for copies of archives
        found = ', '.join(sorted({file.parts[0] for file in files})[:8]) or 'no files'
        damage = ''.join(f' {problem}.' for problem in problems)
        raise ValueError(f'{error} {source} holds {found}.{damage}') from error
    hidden.mkdir(parents=True, exist_ok=True)
    journal = Journal(
        hidden / JOURNAL, dict(dataset=dataset.TITLE, version=dataset.VERSION, source=str(source.absolute()))
    )
    results = run_jobs(module, jobs, out, journal, workers)
    dataset.finish(out, results)
    shutil.rmtree(hidden / 'archives', ignore_errors=True)
    return summarize(dataset, out, results, problems + missing)


def main(module: str, description: str) -> None:
    """The command of a data set.

    Args:
        module: name of a module of :mod:`mmest.datasets.official`.
        description: the help text, with the tree that is expected.
    """
    parser = argparse.ArgumentParser(
        description=description, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('source', metavar='SOURCE', type=Path, help='the download: a folder, or one zip archive')
    parser.add_argument('out', metavar='OUT', type=Path, help='the folder to write')
    parser.add_argument(
        '--workers', type=int, metavar='N', default=os.cpu_count() or 1, help='processes (default: one per core)'
    )
    args = parser.parse_args()
    if args.workers < 1:
        parser.error(f'--workers should be at least 1, but it is {args.workers}.')
    again = 'What is done is kept; the same command goes on from there.'
    try:
        whole = prepare(module, args.source, args.out, args.workers)
    except (FileNotFoundError, FileExistsError, ValueError) as error:
        sys.exit(f'{parser.prog}: {error}')
    except BrokenProcessPool:
        sys.exit(
            f'{parser.prog}: a process was killed, most likely for want of memory. {again} Try a smaller --workers.'
        )
    except OSError as error:
        sys.exit(f'{parser.prog}: {error}. {again}')
    except KeyboardInterrupt:
        sys.exit(f'\n{parser.prog}: interrupted. {again}')
    sys.exit(0 if whole else 1)
