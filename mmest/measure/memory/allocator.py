"""What CUDA's caching allocator says, beside the exact count."""

import subprocess

import torch

#: The allocator hands out blocks of 512 bytes and counts what operators take for themselves (workspaces of cuBLAS and
#: cuDNN, scratch of sorting and NMS), which no tensor shows.
_SHARE, _WORKSPACES = 1.05, 96 * 2**20


def within_bound(live_peak: int, max_allocated: int) -> bool:
    """Whether the allocator's peak is that of the live tensors, up to 5 % and 96 MiB more; it is never less."""
    return live_peak <= max_allocated <= _SHARE * live_peak + _WORKSPACES


def allocator_figures(device: torch.device) -> dict:
    """Peaks since the last reset, and the machine that they belong to.

    Returns:
        ``max_allocated`` and ``max_reserved`` in bytes, of the whole process; ``card``, ``driver`` (None if
        ``nvidia-smi`` does not say), ``cuda`` and ``torch`` versions.
    """
    return dict(
        max_allocated=torch.cuda.max_memory_allocated(device),
        max_reserved=torch.cuda.max_memory_reserved(device),
        card=torch.cuda.get_device_name(device),
        driver=driver_version(),
        cuda=torch.version.cuda,
        torch=torch.__version__,
    )


def driver_version() -> str | None:
    """The version of NVIDIA's driver, None if ``nvidia-smi`` does not say."""
    query = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader']
    try:
        answer = subprocess.run(query, capture_output=True, text=True, check=True, timeout=10)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.split('\n')[0].strip() or None


class RunningPeak:
    """The largest allocator peak of a whole run.

    mmengine resets CUDA's peak statistics whenever it logs, so the peak of a run is the maximum of what was read before
    each reset: call :meth:`update` in every iteration, ahead of ``LoggerHook``.

    Args:
        device: the card; the current one by default.
    """

    def __init__(self, device=None) -> None:
        self._device = device
        #: Bytes allocated at most, None before the first figure or without
        #: CUDA.
        self.value: int | None = None

    def update(self) -> None:
        if torch.cuda.is_available():
            peak = torch.cuda.max_memory_allocated(self._device)
            self.value = max(self.value or 0, peak)
