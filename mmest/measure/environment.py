"""What a figure was measured with."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

import torch

from mmest.measure.memory.allocator import driver_version
from mmest.version import __version__

_DISTRIBUTIONS = ('torch', 'mmengine', 'mmcv', 'mmdet', 'mmsegmentation')


def commit() -> str | None:
    """The commit of mmest's sources, with "-dirty" if code or configs were changed since. Where they were copied
    without their repository, what MMEST_COMMIT says, or None.
    """
    if os.environ.get('MMEST_COMMIT'):
        return os.environ['MMEST_COMMIT']
    root = Path(__file__).parents[2]
    try:
        ran = subprocess.run(['git', 'rev-parse', 'HEAD'], cwd=root, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    # Records and texts may change: grids write them.
    changed = subprocess.run(['git', 'diff', '--quiet', 'HEAD', '--', 'mmest', 'configs', 'tools'], cwd=root).returncode
    return ran.stdout.strip() + ('-dirty' if changed else '')


def hardware(device: str) -> str:
    """The card and its driver, or the processor, the widest instructions that torch uses on it, which decide about its
    speed, and the number of threads.
    """
    if device == 'cuda':
        return f'{torch.cuda.get_device_name()}, driver {driver_version()}'
    threads = torch.get_num_threads()
    return f'{_processor()}, {torch.backends.cpu.get_cpu_capability()}, {threads} thread{"s" if threads > 1 else ""}'


def _processor() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else platform.processor() or platform.machine()


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def versions() -> dict[str, str | None]:
    """Versions of Python and of what a figure depends on; None for what is not installed."""
    return dict(
        python=platform.python_version(), mmest=__version__, **{name: _version(name) for name in _DISTRIBUTIONS}
    )


def environment(device: str) -> dict:
    """Hardware and versions, as records have them."""
    return dict(hardware=hardware(device), versions=versions())
