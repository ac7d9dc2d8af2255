"""What a training shows: a header, one live line, a table at each validation, and how to go on."""

import math
import os
import resource
import shlex
import sys
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from rich import box
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.console import seen_from_here
from mmest.engine.header import header
from mmest.engine.processes import bare
from mmest.engine.resume import latest_complete_checkpoint
from mmest.measure.memory.allocator import RunningPeak

# Lines of a terminal that keeps what it shows, such as a file; validations and metrics in a table.
_LINES, _ROWS, _METRICS = 20, 8, 6
_WINDOW = 50


class Terminal(Hook):
    """Shows a training, on terminals of 80 columns and more, and line by line where there is none.

    Args:
        console: where.
        log: the file that holds all else.
    """

    # Before LoggerHook, which resets CUDA's peak statistics.
    priority = 56

    def __init__(self, console: Console, log: Path) -> None:
        self._console, self._log = console, log
        self._peak = RunningPeak()
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._scores: list[tuple[int, dict[str, float]]] = []

    def before_train(self, runner: Runner) -> None:
        self._console.print(header(runner, self._log))
        if self._console.is_terminal:
            self._progress = Progress(
                TextColumn('{task.description}', markup=False),
                BarColumn(bar_width=None),
                TextColumn('{task.completed:.0f}/{task.total:.0f}'),
                TimeRemainingColumn(compact=True),
                TextColumn('{task.fields[figures]}', markup=False),
                console=self._console,
                expand=True,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                refresh_per_second=2,
            )
            self._task = self._progress.add_task('', total=runner.max_iters, completed=runner.iter, figures='')
            self._progress.start()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        self._peak.update()
        done, total = runner.iter + 1, runner.max_iters
        where = f'epoch {runner.epoch + 1}/{runner.max_epochs}' if _by_epoch(runner) else 'step'
        figures = f'loss {_loss(runner):.4g}  {self._memory()}'
        if self._progress is not None:
            self._progress.update(self._task, completed=done, description=where, figures=figures)
        elif done == total or done * _LINES // total > (done - 1) * _LINES // total:
            self._console.print(f'{where} {done}/{total}  {figures}', soft_wrap=True)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        if self._progress is not None:
            text = f'validation {batch_idx + 1}/{len(runner.val_dataloader)}'
            self._progress.update(self._task, description=text)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        numbers = {name.rpartition('/')[2]: float(value) for name, value in (metrics or {}).items() if _number(value)}
        self._scores.append((runner.epoch if _by_epoch(runner) else runner.iter, numbers))
        if any(numbers for _, numbers in self._scores):
            self._console.print(self._table('epoch' if _by_epoch(runner) else 'step', _loss(runner)))
        else:
            said = f'validation, loss {_loss(runner):.4g}: no score yet, as where a model detects nothing'
            self._console.print(said, soft_wrap=True)

    def stop(self) -> None:
        """Give the terminal back, whatever has happened."""
        if self._progress is not None:
            self._progress.stop()

    def show_end(self, runner: Runner) -> None:
        """What came out, and what to do with it."""
        path = runner.message_hub.get_info('best_ckpt') if 'best_ckpt' in runner.message_hub.runtime_info else None
        path = path or latest_complete_checkpoint(runner.work_dir)
        # What is wrapped was guarded: the run would have ended otherwise.
        proven = '; what is frozen has not changed by a bit' if tuned_backbones(bare(runner)) else ''
        self._console.print(f'Trained, with at most {self._memory()}{proven}.')
        main = self._main_metric()
        scores = [numbers.get(main) for _, numbers in self._scores]
        if main and len(scores) > 1 and len(set(scores)) == 1:
            self._console.print(
                f'The {main} was {_text(scores[0])} at every validation, as where a model predicts one class alone: '
                'train longer, or at another rate (--iters, --lr).',
                soft_wrap=True,
            )
        if path is None:
            self._console.print('No checkpoint was written: default_hooks.checkpoint is off, or its interval too long.')
            return
        folder = Path(runner.work_dir).absolute()
        config, path = (
            seen_from_here(folder / Path(runner.cfg.filename or 'config.py').name),
            seen_from_here(Path(path).absolute()),
        )
        test, predict, report = _command('test'), _command('predict'), _command('report')
        for text, line in (
            ('a page about it', [*report, seen_from_here(folder)]),
            ('its predictions beside the truth', [*test, config, path, '--show-dir', 'shown']),
            ('on images of any size', [*predict, path, 'IMAGE']),
        ):
            self._console.print(f'next, {text}:\n  {shlex.join(line)}', soft_wrap=True)

    def _memory(self) -> str:
        """The peak on CUDA, of this process where there is none."""
        if self._peak.value is not None:
            return f'{self._peak.value / 2**30:.2f} GiB of CUDA'
        unit = 1 if sys.platform == 'darwin' else 2**10
        return f'{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30:.2f} GiB'

    def _names(self) -> list[str]:
        return list(dict.fromkeys(name for _, numbers in self._scores for name in numbers))

    def _main_metric(self) -> str:
        names = self._names()
        return next((name for name in names if name in ('mIoU', 'bbox_mAP', 'mAP', 'AP50')), names[0] if names else '')

    def _table(self, step: str, loss: float) -> Table:
        """The latest validations; the best by the first metric stands out."""
        names, main = self._names(), self._main_metric()
        best = max((numbers.get(main, -math.inf) for _, numbers in self._scores), default=-math.inf)
        names = [main, *(name for name in names if name != main)][:_METRICS]
        common = os.path.commonprefix(names) if len(names) > 1 else ''
        heads = [name.removeprefix(common[: common.rfind('_') + 1]) for name in names]
        title = f'validation, loss {loss:.4g}'
        table = Table(step, *heads, title=title, title_justify='left', box=box.SIMPLE_HEAD)
        for column in table.columns:
            column.justify = 'right'
        for at, numbers in self._scores[-_ROWS:]:
            style = 'bold' if numbers.get(main) == best and len(self._scores) > 1 else ''
            table.add_row(str(at), *(_text(numbers.get(name)) for name in names), style=style)
        return table


def _by_epoch(runner: Runner) -> bool:
    return isinstance(runner.train_loop, EpochBasedTrainLoop)


def _loss(runner: Runner) -> float:
    """The mean over the latest steps."""
    scalars = runner.message_hub.log_scalars
    return float(scalars['train/loss'].mean(_WINDOW)) if 'train/loss' in scalars else math.nan


def _number(value: object) -> bool:
    return isinstance(value, (int, float)) or hasattr(value, 'item') and getattr(value, 'size', 1) in (1, torch.Size())


def _text(value: float | None) -> str:
    # COCO's metrics are -1 where there is nothing to find.
    return '–' if value is None or value == -1 else f'{value:.4g}'


def _command(name: str) -> list[str]:
    """A command of mmest, called as this one was."""
    script = Path(sys.argv[0])
    return ['python', str(script.with_name(f'{name}.py'))] if script.name == 'train.py' else ['mmest', name]
