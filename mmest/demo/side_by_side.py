"""Trainings in processes of their own, as many at a time as there are cores to spare."""

import multiprocessing
import os
import queue
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path

import torch

from mmest.engine.output import output_to

AT_A_TIME = 2
#: A training: called with a function that takes the share that is done; returns its result.
Job = Callable[[Callable[[float], None]], dict]


class _Report:
    """Sends the share of one job that is done to the process that shows it."""

    def __init__(self, shares, name: str) -> None:
        self.shares, self.name = shares, name

    def __call__(self, share: float) -> None:
        self.shares.put((self.name, share))


def _run(name: str, job: Job, shares, threads: int, log: Path) -> dict:
    torch.set_num_threads(threads)
    with output_to(log):
        return job(_Report(shares, name))


def run_side_by_side(
    jobs: dict[str, Job], log: Path, progress: Callable[[str, float], None], finished: Callable[[str, dict], None]
) -> None:
    """Run jobs, two at a time where there are two cores.

    A small model gains little from a second thread, so two trainings of one thread each are done sooner than one after
    the other with two.

    Args:
        jobs: what to run, by name; each must be picklable.
        log: file for all that libraries print.
        progress: called with a name and the share of that job that is done, in [0, 1].
        finished: called with the name and the result of a job that is done.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1
    workers = min(AT_A_TIME, cores)
    context = multiprocessing.get_context('spawn')  # a fork of a process with threads may hang
    with context.Manager() as manager, ProcessPoolExecutor(workers, context) as pool:
        shares = manager.Queue()
        running = {
            name: pool.submit(_run, name, job, shares, max(1, cores // workers), log) for name, job in jobs.items()
        }
        try:
            while running:
                with suppress(queue.Empty):
                    progress(*shares.get(timeout=0.2))
                for name in [name for name, future in running.items() if future.done()]:
                    finished(name, running.pop(name).result())
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
