"""A training or a test from its config to its end, whatever that is: a result, one sentence, or an interruption."""

import os
import shlex
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path

from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner

from mmest.console import plain_console
from mmest.datasets.checks import check_data
from mmest.engine.failures import explain, last_line
from mmest.engine.launch import all_or_none, build_runner, check_training, default_launcher, training_runner
from mmest.engine.processes import ScoringRunner
from mmest.engine.quiet import LogFile, all_to, show_notes
from mmest.engine.resume import latest_complete_checkpoint
from mmest.engine.terminal import Terminal
from mmest.engine.testing import TestProgress, TunedAsTrained
from mmest.engine.trained_classes import TrainedClassesHook
from mmest.engine.work_folder import FolderInUse, RemoveEarlierRun, hold, let_go

#: Of a shell, for a command that Ctrl-C has ended.
INTERRUPTED = 130


class RunFailed(RuntimeError):
    """A training or a test that did not end well; the message says why in a sentence."""


def run_training(cfg: Config, launcher: str | None = None, verbose: bool = False, overwrite: bool = False) -> None:
    """Train, from what can be looked at beforehand to the last checkpoint.

    The terminal shows a header, one live line, a table at each validation and the next command; all that libraries say
    is appended to ``train.log`` in the work folder.

    Args:
        cfg: the config; its ``work_dir`` is set.
        launcher: how processes were started (default: as the environment tells).
        verbose: leave the terminal to mmengine's log instead.
        overwrite: remove what another run left in the work folder, when all that can be refused has been.

    Raises:
        RunFailed: the training cannot start, or broke off.
        SystemExit: Ctrl-C, with the status 130.
    """
    log, console = LogFile(Path(cfg.work_dir, 'train.log')), plain_console(file=sys.stdout)
    before = _newest(cfg)
    try:
        if verbose:
            with one_sentence(cfg, log):
                _runner(cfg, launcher, overwrite).train()
        else:
            with all_to(log), one_sentence(cfg, log):
                _train_quietly(cfg, launcher, overwrite, console, log)
    except KeyboardInterrupt:
        if is_main_process():
            console.print(_interrupted(cfg, before), soft_wrap=True)
        raise SystemExit(INTERRUPTED) from None
    finally:
        log.close()
        let_go(cfg.work_dir)


def run_test(cfg: Config, launcher: str | None = None, hooks: Sequence[Hook] = ()) -> dict[str, float]:
    """Score the checkpoint that a config's ``load_from`` names.

    The terminal shows how far it is; all that libraries say is appended to ``test.log`` in the work folder.

    Args:
        cfg: the config; its ``work_dir`` is set.
        launcher: how processes were started (default: as the environment tells).
        hooks: more that look on.

    Returns:
        The metrics by name.

    Raises:
        RunFailed: data is missing, the test cannot start, or broke off.
    """
    log, console = LogFile(Path(cfg.work_dir, 'test.log')), plain_console(file=sys.stdout)
    progress = TestProgress(console)
    try:
        with all_to(log), one_sentence(cfg, log):
            show_notes(partial(_note, console))
            check_data(cfg, ['test'])
            runner = build_runner(cfg, launcher or default_launcher(), ScoringRunner)
            log.open()
            show_notes(partial(_note, console))
            for hook in (TunedAsTrained(), TrainedClassesHook(), progress, *hooks):
                runner.register_hook(hook)
            return {name: float(value) for name, value in runner.test().items()}
    finally:
        progress.stop()
        log.close()


def _note(console: Console, text: str) -> None:
    if is_main_process():
        console.print(f'note: {text}', soft_wrap=True)


def _runner(cfg: Config, launcher: str | None, overwrite: bool) -> Runner:
    """The runner of a training that may start: nothing was written until here, and the work folder is its own."""

    def look() -> None:
        check_training(cfg)
        Path(cfg.work_dir).mkdir(parents=True, exist_ok=True)
        hold(cfg.work_dir)

    all_or_none(cfg, launcher, look)
    runner = training_runner(cfg, launcher)
    if overwrite:
        runner.register_hook(RemoveEarlierRun())
    return runner


def _train_quietly(cfg: Config, launcher: str | None, overwrite: bool, console: Console, log: LogFile) -> None:
    note = partial(_note, console)
    show_notes(note)
    with _spinner(console) if is_main_process() and console.is_terminal else nullcontext():
        runner = _runner(cfg, launcher, overwrite)
    log.open()
    show_notes(note)
    if not is_main_process():
        runner.train()
        return
    terminal = Terminal(console, log.path)
    runner.register_hook(terminal)
    try:
        runner.train()
    finally:
        terminal.stop()
    terminal.show_end(runner)


def _spinner(console: Console) -> Live:
    """Shown until the header is known. Unlike rich's own status it lets streams be: mmengine's loggers keep the one
    that they find.
    """
    text = Spinner('dots', 'looking at data and weights')
    return Live(text, console=console, transient=True, redirect_stdout=False, redirect_stderr=False)


@contextmanager
def one_sentence(cfg: Config, log: LogFile) -> Iterator[None]:
    """Around all that a command lets a runner do: whatever breaks off ends in one sentence; tracebacks go to a log.

    Raises:
        RunFailed: something broke off.
    """
    try:
        yield
    except FolderInUse as error:  # its log is that of another training
        raise RunFailed(str(error)) from error
    except Exception as error:  # whatever mmengine, the framework, the data or the user's own code raise
        sentence = explain(error, cfg)
        if sentence is None or Path(cfg.work_dir).is_dir():
            with suppress(OSError):  # of a full disk, which ended the training
                log.open()
                log.write(''.join(traceback.format_exception(error)))
        if sentence is None:
            sentence = (
                f'{type(error).__name__}: {last_line(error)}. This is none of the errors that mmest knows; where it '
                f'comes from stands at the end of {log.path}.'
            )
        raise RunFailed(sentence) from error


def _newest(cfg: Config) -> tuple[Path, int] | None:
    """The checkpoint that --resume would take, and when it was written."""
    checkpoint = latest_complete_checkpoint(cfg.work_dir)
    return (checkpoint, checkpoint.stat().st_mtime_ns) if checkpoint else None


def _interrupted(cfg: Config, before: tuple[Path, int] | None) -> str:
    """What to do after Ctrl-C; ``before``: the newest checkpoint when the training began."""
    newest = _newest(cfg)
    if newest is None or newest == before:
        starts = f'goes on from {cfg.load_from} again' if cfg.get('resume') else 'starts anew'
        return (
            f'Interrupted before the {"next" if cfg.get("resume") else "first"} checkpoint; the same command {starts}.'
        )
    command = [*_program(), *_resuming(sys.argv[1:])]
    return f'Interrupted; {newest[0]} is whole. Go on with: {shlex.join(command)}'


def _resuming(words: list[str]) -> list[str]:
    """The words of a command with ``--resume``, which takes no word behind it for a checkpoint to begin from."""
    words = [word for word in words if not word.startswith('--resume=')]
    if '--resume' in words:
        at = words.index('--resume')
        names_file = at + 1 < len(words) and not words[at + 1].startswith('-')
        words = words[:at] + words[at + 1 + names_file :]
    return [*words, '--resume']


def _program() -> list[str]:
    """How this process was called."""
    name = Path(sys.argv[0])
    mine = name.name in ('mmest', '__main__.py')
    if default_launcher() != 'pytorch':
        return ['mmest'] if mine else ['python', sys.argv[0]]
    here, all_of_them = os.environ.get('LOCAL_WORLD_SIZE', ''), os.environ['WORLD_SIZE']
    # Of several machines each has its own place among them, which only its command tells.
    processes = ['--nproc_per_node', here] if here == all_of_them else ['...']
    return ['torchrun', *processes, *(['-m', 'mmest'] if mine else [sys.argv[0]])]
