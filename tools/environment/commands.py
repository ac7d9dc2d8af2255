"""Run a command with its output in the log, and end it together with us."""

import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from .failures import failure


def run(
    command: Sequence[str],
    what: str,
    log: Path,
    on_line: Callable[[str], None] | None = None,
    env: dict[str, str] | None = None,
    cwd: Path | None = None,
) -> str:
    """Run a command and return what it printed.

    Args:
        command: Program and arguments.
        what: What it does, for the error message.
        log: File that its output is appended to.
        on_line: Called with each line as it comes.
        env: Its environment (default: ours).
        cwd: Its folder (default: ours).

    Raises:
        SetupError: it failed.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    lines = []
    with log.open('a', encoding='utf-8') as file:
        file.write(f'$ {" ".join(map(str, command))}\n')
        # A group of its own: a compilation is a tree of processes, and all of it has to end when we do. Where we are
        # killed and cannot see to that, the command keeps our lock open until it has ended.
        process = subprocess.Popen(
            list(map(str, command)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors='replace',
            env=env,
            cwd=cwd,
            start_new_session=True,
            close_fds=False,
        )
        try:
            for line in process.stdout:
                file.write(line)
                file.flush()
                lines.append(line)
                if on_line:
                    on_line(line.rstrip())
            returncode = process.wait()
        except BaseException:
            end_group(process)
            raise
    output = ''.join(lines)
    if returncode:
        raise failure(what, output, log, returncode)
    return output


def end_group(process: subprocess.Popen) -> None:
    """End a process that leads its group, and all of the group."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            continue
    process.wait()
