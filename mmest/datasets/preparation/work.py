"""Jobs in several processes, resumable: what is done is in a journal, and a job is done once all its files are."""

import importlib
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Protocol, TextIO

import cv2
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmest.datasets.preparation.problems import DamagedInput, Problem
from mmest.datasets.preparation.source import SourceFile


@dataclass(frozen=True)
class Job:
    """The smallest piece of work: usually one picture and its annotation.

    Args:
        key: its name, unique in its split.
        split: ``train``, ``val`` or ``test``.
        picture: the picture.
        label: its annotation, if it has one.
    """

    key: str
    split: str
    picture: SourceFile
    label: SourceFile | None = None

    @property
    def identity(self) -> str:
        """Its name among all jobs."""
        return f'{self.split}/{self.key}'

    @property
    def stamp(self) -> str:
        return '/'.join(file.stamp for file in (self.picture, self.label) if file)


@dataclass
class Done:
    """What a job gave.

    Args:
        outputs: files that it wrote, relative to the output folder.
        counts: numbers to add up, such as ``dict(images=1, objects=7)``.
        classes: objects or pixels per class.
        problems: (place, what is wrong) of parts that were left out.
        record: what the annotation file says of the picture.
    """

    outputs: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    classes: dict[str, int] = field(default_factory=dict)
    problems: list[tuple[str, str]] = field(default_factory=list)
    record: Any = None


class DatasetModule(Protocol):
    """What a module of :mod:`mmest.datasets.official` defines."""

    TITLE: str  # the name of the data set
    VERSION: int  # raised whenever the same input gives other output
    CLASSES: Sequence[str]  # in the order of their numbers
    OFFICIAL: dict[str, dict[str, int]]  # by split: the numbers of the publisher, under the names of Done.counts
    UNIT: str  # what Done.classes counts: objects, or pixels

    def plan(self, files: list[SourceFile]) -> tuple[list[Job], list[Problem]]:
        """The jobs, and what is missing. ValueError says that this is not the data set."""

    def convert(self, job: Job, out: Path) -> Done:
        """Do one job, in any process. DamagedInput says what is wrong with its picture."""

    def finish(self, out: Path, done: list[tuple[Job, Done]]) -> None:
        """Write what is about all pictures."""


class Journal:
    """A line of JSON per job that is done. A last line that was cut off counts as none."""

    def __init__(self, path: Path, header: dict) -> None:
        self.path, self.header = path, header

    def made_from(self) -> dict:
        """The header of what was done before; nothing if there is none."""
        return next(iter(self._lines()), {})

    def read(self) -> dict[str, dict]:
        """Lines by the key of their job, whichever version wrote them."""
        return {line['key']: line for line in self._lines()[1:]}

    def _lines(self) -> list[dict]:
        lines: list[dict] = []
        if self.path.is_file():
            for line in self.path.read_text().splitlines():
                try:
                    lines.append(json.loads(line))
                except ValueError:
                    break
        return lines

    def rewrite(self, lines: dict[str, dict]) -> TextIO:
        """Start anew with these lines; the file stays open for more."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        stream = self.path.open('w')
        for line in (self.header, *lines.values()):
            stream.write(json.dumps(line) + '\n')
        stream.flush()
        return stream


def run_jobs(module: str, jobs: list[Job], out: Path, journal: Journal, workers: int) -> list[tuple[Job, Done]]:
    """Do the jobs that are not done yet.

    Args:
        module: name of the data set's module.
        jobs: all of them.
        out: the output folder.
        journal: what was done before.
        workers: number of processes.

    Returns:
        Every job with what it gave, in the order of ``jobs``.
    """
    old = journal.read()
    valid = old if journal.made_from() == journal.header else {}
    kept = {
        job.identity: old[job.identity]
        for job in jobs
        if job.identity in valid
        and old[job.identity]['stamp'] == job.stamp
        and all((out / name).is_file() for name in old[job.identity]['done']['outputs'])
    }
    done = {key: Done(**line['done']) for key, line in kept.items()}
    waiting = [job for job in jobs if job.identity not in done]
    _remove_outdated(out, old, kept)
    if kept:
        print(f'{len(kept)} of {len(jobs)} images are done already.')
    columns = (TextColumn('{task.description}'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with journal.rewrite(kept) as stream, Progress(*columns) as bars:
        bar = bars.add_task('images', total=len(jobs), completed=len(done))
        for job, result in _results(module, waiting, out, workers):
            done[job.identity] = result
            # A picture that could not be used is looked at again the next time: it may have been replaced.
            if result.outputs:
                stream.write(json.dumps(dict(key=job.identity, stamp=job.stamp, done=asdict(result))) + '\n')
                stream.flush()
            bars.advance(bar)
    return [(job, done[job.identity]) for job in jobs]


def _remove_outdated(out: Path, old: dict[str, dict], kept: dict[str, dict]) -> None:
    """Files of an earlier run whose image is gone, has changed, or is to be done anew: loaders read whole folders."""
    stay = {name for line in kept.values() for name in line['done']['outputs']}
    names = {name for line in old.values() for name in line['done']['outputs']} - stay
    outdated = [out / name for name in sorted(names) if (out / name).is_file()]
    for path in outdated:
        path.unlink()
    if outdated:
        more = f' and {len(outdated) - 1} more' if len(outdated) > 1 else ''
        print(f'Removed what an earlier run made of files that have changed or are gone: {outdated[0]}{more}.')


def _results(module: str, jobs: list[Job], out: Path, workers: int) -> Iterator[tuple[Job, Done]]:
    """Jobs with what they gave, in the order in which they end."""
    if workers == 1:
        yield from ((job, _convert(module, job, str(out))) for job in jobs)
        return
    # Not forked from here: a process whose libraries run threads may hang in its fork.
    context = get_context('forkserver')
    context.set_forkserver_preload([module])
    pool = ProcessPoolExecutor(max(1, min(workers, len(jobs))), context, initializer=cv2.setNumThreads, initargs=(1,))
    try:
        futures = {pool.submit(_convert, module, job, str(out)): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _convert(module: str, job: Job, out: str) -> Done:
    try:
        return importlib.import_module(module).convert(job, Path(out))
    except DamagedInput as error:
        return Done(problems=[(job.picture.place, f'{str(error).rstrip(".")}; the picture is left out')])
