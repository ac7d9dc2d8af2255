"""The virtual environment and the record of what was finished in it."""

import contextlib
import fcntl
import functools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from .commands import run
from .console import Progress, note
from .failures import NO_VENV, SetupError

CHOICES = ('PYTHON', 'MMEST_TORCH', 'MMEST_CUDA')
"""Variables that say what is installed."""


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Wait until nobody else sets up this environment, the commands of a set-up that was killed included.

    Args:
        root: Folder of the environment; the lock is a file beside it.
    """
    with root.with_name(f'{root.name}.lock').open('w') as lock:
        os.set_inheritable(lock.fileno(), True)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note(
                f'another set-up, or a command that one left behind, is still at work on {root}; waiting for it to end'
            )
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


class Venv:
    """A virtual environment that knows which steps were finished, and for which inputs.

    Args:
        root: Its folder. One that the set-up did not make is an error, never overwritten.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.python = root / 'bin' / 'python'
        self.log = root / 'setup.log'
        self._record = root / 'setup.json'
        if root.exists() and not self._record.exists() and {path.name for path in root.iterdir()} - {'setup.tmp'}:
            raise SetupError(
                f'{root} exists, but not made by this set-up. Move it away or remove it (make clean), and run the '
                'command again.'
            )
        try:
            record = json.loads(self._record.read_text())
        except FileNotFoundError:
            record = {'choices': {}, 'done': {}}
        self.done: dict[str, str] = record['done']
        # What was asked for by variables holds until something else is asked for: `make test` need not repeat them.
        self.choices = {name: os.environ.get(name, record['choices'].get(name, '')) for name in CHOICES}

    def _write(self) -> None:
        beside = self._record.with_suffix('.tmp')
        beside.write_text(json.dumps({'choices': self.choices, 'done': self.done}, indent=1))
        os.replace(beside, self._record)

    def finished(self, step: str, inputs: str) -> bool:
        """Whether a step was finished with these inputs and nothing was cut off since."""
        return self.done.get(step) == inputs and 'installing' not in self.done and self._runs

    @functools.cached_property
    def _runs(self) -> bool:
        # Its Python is a link to one outside, which may have been removed or replaced.
        return self.python.exists() and subprocess.run([str(self.python), '-c', '']).returncode == 0

    def finish(self, step: str, inputs: str) -> None:
        """Record that a step is finished."""
        self.done[step] = inputs
        self._write()

    def create(self, inputs: str, existing_torch: Path | None) -> None:
        """Make the environment anew.

        Args:
            inputs: What the record keeps for the step 'venv'.
            existing_torch: The folder that holds the torch to be used, where one outside is asked for.
        """
        self._discard()
        self.root.mkdir(parents=True)
        self.done = {}
        self._write()
        command = [sys.executable, '-m', 'venv', str(self.root)] + (
            ['--system-site-packages'] if existing_torch else []
        )
        if subprocess.run([sys.executable, '-c', 'import ensurepip, venv'], stderr=subprocess.DEVNULL).returncode == 0:
            run(command, 'Making the virtual environment', self.log)
        else:
            self._create_without_ensurepip(command)
        if (
            existing_torch
            and subprocess.run([str(self.python), '-c', 'import torch'], stderr=subprocess.DEVNULL).returncode
        ):
            # The Python that runs us is in a virtual environment itself: its packages are not the system's.
            packages = next(self.root.glob('lib/python*/site-packages'))
            (packages / 'existing-torch.pth').write_text(f'{existing_torch}\n')
        self.__dict__.pop('_runs', None)
        self.finish('venv', inputs)

    def _discard(self) -> None:
        # Renamed first: were we killed amid the removal, the rest would look like an environment that is not ours.
        discarded = self.root.with_name(f'{self.root.name}.discarded')
        if discarded.exists():
            shutil.rmtree(discarded)
        if self.root.exists():
            os.replace(self.root, discarded)
            shutil.rmtree(discarded)

    def _create_without_ensurepip(self, command: list[str]) -> None:
        # Debian splits ensurepip off; pip can be put into the environment by the pip outside.
        try:
            run(command + ['--without-pip'], 'Making the virtual environment', self.log)
            run(
                [sys.executable, '-m', 'pip', '--python', str(self.python), 'install', 'pip'],
                'Installing pip',
                self.log,
            )
        except SetupError as error:
            self._discard()
            raise SetupError(NO_VENV.format(python=sys.executable)) from error

    @contextlib.contextmanager
    def installing(self) -> Iterator[None]:
        """Mark the environment as unfinished while packages are written: one that was cut off here is made anew."""
        self.done['installing'] = 'yes'
        self._write()
        try:
            yield
        except SetupError:
            self._installed()
            raise
        self._installed()

    def _installed(self) -> None:
        # The command ended by itself, and pip then leaves no package half-installed.
        del self.done['installing']
        self._write()

    def pip_install(self, arguments: list[str], what: str) -> None:
        """`pip install` with a line of progress.

        Args:
            arguments: What follows `pip install`.
            what: The packages, for the progress and the error message.
        """
        progress = Progress(what)

        def show(line: str) -> None:
            words = line.split()
            if line.startswith('Progress ') and len(words) == 4:
                progress.status(f'downloading {int(words[1]) / 1e6:.0f} of {int(words[3]) / 1e6:.0f} MB')
            elif words and words[0] in ('Collecting', 'Downloading', 'Building', 'Installing'):
                progress.status(line.strip())

        with self.installing():
            try:
                run(
                    [self.python, '-m', 'pip', 'install', '--progress-bar', 'raw', *arguments],
                    f'Installing {what}',
                    self.log,
                    show,
                )
            finally:
                progress.close()
