"""The command line that all preparations share."""

import argparse
import importlib
import os
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path, PurePosixPath

from mmest.datasets.preparation.problems import Problem
from mmest.datasets.preparation.registry import docstring, module_of
from mmest.datasets.preparation.source import HIDDEN, SourceFile, list_source
from mmest.datasets.preparation.summary import summarize
from mmest.datasets.preparation.work import Done, Job, Journal, run_jobs
from mmest.files import remove_leftovers
from mmest.pictures.formats import ENDINGS

JOURNAL = 'journal.jsonl'
EPILOG = """
SOURCE may be unpacked, zip archives as they were downloaded, or a mixture. Images are decoded to their end; what is
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
        FileExistsError: ``out`` holds something else, or what was made from another source.
        ValueError: the source is not this data set.
    """
    dataset = importlib.import_module(module)
    hidden = out / HIDDEN
    if out.exists() and not hidden.is_dir() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(
            f'{out} holds something else than a prepared data set. Choose a folder that is new or empty.'
        )
    journal = Journal(
        hidden / JOURNAL, dict(dataset=dataset.TITLE, version=dataset.VERSION, source=str(source.absolute()))
    )
    made = journal.made_from()
    if made and (made['dataset'], made['source']) != (journal.header['dataset'], journal.header['source']):
        raise FileExistsError(
            f'{out} holds {made["dataset"]} as it was prepared from {made["source"]}. Choose another folder, or remove '
            'that one.'
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
    results = run_jobs(module, jobs, out, journal, workers)
    dataset.finish(out, results)
    shutil.rmtree(hidden / 'archives', ignore_errors=True)
    problems += missing + _strangers(out, results)
    return summarize(dataset, out, results, problems, _passed_over(files, jobs, problems))


def _passed_over(files: list[SourceFile], jobs: list[Job], problems: list[Problem]) -> list[str]:
    """Images of the download that no part of the data set is made from, and that no problem is about."""
    used = {file for job in jobs for file in (job.picture, job.label) if file}
    said = {problem.place for problem in problems}
    return [file.place for file in files if file.suffix in ENDINGS and file not in used and file.place not in said]


def _strangers(out: Path, results: list[tuple[Job, Done]]) -> list[Problem]:
    """Files among the outputs that are none: loaders that read whole folders would take them."""
    outputs = {name for _, done in results for name in done.outputs}
    folders = sorted({PurePosixPath(name).parts[0] for name in outputs})
    for folder in {PurePosixPath(name).parent for name in outputs}:
        remove_leftovers(out / folder)
    found = [path for folder in folders for path in sorted((out / folder).rglob('*')) if path.is_file()]
    return [
        Problem(str(path), 'belongs to no image of this preparation, but loaders read the whole folder: remove it')
        for path in found
        if path.relative_to(out).as_posix() not in outputs
    ]


def main(name: str, arguments: Sequence[str]) -> None:
    """The command ``mmest data prepare NAME``.

    Args:
        name: a data set, by the name of its module in :mod:`mmest.datasets.official`.
        arguments: what follows the name.

    Raises:
        SystemExit: always; with 0 if everything that was found could be used.
    """
    try:
        module = module_of(name)
    except ValueError as error:
        sys.exit(f'data prepare: {error}')
    parser = argparse.ArgumentParser(
        prog=f'mmest data prepare {name}',
        description=docstring(name),
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('source', metavar='SOURCE', type=Path, help='the download: a folder, or one zip archive')
    parser.add_argument('out', metavar='OUT', type=Path, help='the folder to write')
    parser.add_argument(
        '--workers', type=int, metavar='N', default=os.cpu_count() or 1, help='processes (default: one per core)'
    )
    args = parser.parse_args(arguments)
    if args.workers < 1:
        parser.error(f'--workers should be at least 1, but it is {args.workers}.')
    again = 'What is done is kept; the same command goes on from there.'
    try:
        whole = prepare(module, args.source, args.out, args.workers)
    except (FileNotFoundError, FileExistsError, ValueError) as error:
        sys.exit(f'data prepare {name}: {error}')
    except BrokenProcessPool:
        sys.exit(
            f'data prepare {name}: a process was killed, most likely for want of memory. {again} Try a '
            'smaller --workers.'
        )
    except OSError as error:
        sys.exit(f'data prepare {name}: {error}. {again}')
    except KeyboardInterrupt:
        sys.exit(f'\ndata prepare {name}: interrupted. {again}')
    sys.exit(0 if whole else 1)
