"""The hook that tells the largest memory of a training on CUDA."""

from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmest.measure.memory.allocator import RunningPeak


class PeakMemory(Hook):
    """A running maximum of the allocator's memory, as mmengine resets its peak at each line that it logs."""

    def __init__(self) -> None:
        self._peak = RunningPeak()

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch=None, outputs: dict | None = None) -> None:
        self._peak.update()

    def after_train(self, runner: Runner) -> None:
        if self._peak.value:
            runner.logger.info(
                f'Largest memory of the CUDA allocator over the training: {self._peak.value / 2**20:.0f} MiB.'
            )
