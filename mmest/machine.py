"""Which machine this is, and which of its processes run: several may write to one folder."""

import os
import platform
from contextlib import suppress
from pathlib import Path


def machine() -> str:
    """Where numbers of processes mean the same: machines and containers may share a name, so with what Linux tells
    them apart by since they were started.
    """
    parts = [platform.node()]
    with suppress(OSError):
        parts += [Path('/proc/sys/kernel/random/boot_id').read_text().strip(), os.readlink('/proc/self/ns/pid')]
    return ' '.join(parts)


def runs(process: int) -> bool:
    """Whether a process of this machine runs, by its number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
