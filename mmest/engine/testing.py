"""What looks on while a checkpoint is scored."""

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from mmest.checkpoints.whole import refuse_delta
from mmest.engine.processes import bare


class TunedAsTrained(Hook):
    """Refuses to score a delta in a model of which nothing is tuned."""

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        refuse_delta(bare(runner), checkpoint)


class TestProgress(Hook):
    """One live line; nothing where there is no terminal.

    Args:
        console: where.
    """

    def __init__(self, console: Console) -> None:
        columns = (TextColumn('testing'), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(compact=True))
        # The streams stay those that libraries were given.
        self._bar = Progress(
            *columns,
            console=console,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
            disable=not (console.is_terminal and is_main_process()),
        )

    def before_test_epoch(self, runner: Runner) -> None:
        self._task = self._bar.add_task('', total=len(runner.test_dataloader))
        self._bar.start()

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs=None) -> None:
        self._bar.advance(self._task)

    def stop(self) -> None:
        """Give the terminal back, whatever has happened."""
        self._bar.stop()
