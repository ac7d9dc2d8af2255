"""Which torch is installed, and from where."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .commands import run
from .console import note
from .failures import SetupError
from .venv import Venv

MINIMUM = (2, 4)
"""The oldest torch that may be asked for: the first built for numpy 2 on every supported Python."""


def release(version: str) -> tuple[int, int]:
    """Major and minor number of a version, as in (2, 13) for '2.13.0+cpu'."""
    major, minor = re.match(r'(\d+)\.(\d+)', version).groups()
    return int(major), int(minor)


def existing_torch(python: str = sys.executable) -> tuple[str, Path]:
    """Version of the torch that a Python imports, and the folder that it lies in.

    Raises:
        SetupError: there is none, or it is too old.
    """
    result = subprocess.run(
        [python, '-c', 'import torch; print(torch.__version__); print(torch.__file__)'], capture_output=True, text=True
    )
    if result.returncode:
        lines = result.stderr.strip().splitlines() or ['']
        raise SetupError(
            f'MMEST_TORCH=existing asks for the torch of {python}, but that Python cannot import torch ({lines[-1]}). '
            'Choose a Python that can with the variable PYTHON, or unset MMEST_TORCH to have one installed.'
        )
    version, file = result.stdout.split()[-2:]
    if release(version) < MINIMUM:
        raise SetupError(
            f'MMEST_TORCH=existing asks for the torch of {python}, which is {version}, but {MINIMUM[0]}.{MINIMUM[1]} '
            'or later is needed. Upgrade it, or unset MMEST_TORCH to have one installed.'
        )
    return version, Path(file).parents[1]


def has_own_sources(environment: Mapping[str, str], pip_config: str) -> bool:
    """Whether the user told pip where packages come from: then torch comes from there, too.

    Args:
        environment: Environment variables.
        pip_config: What `pip config list` prints.
    """
    names = ('find-links', 'index-url', 'extra-index-url', 'no-index')
    if any(environment.get('PIP_' + name.upper().replace('-', '_')) for name in names):
        return True
    return any(re.search(rf"\.{name}='?[^'\s]", pip_config) for name in names)


def install_torch(venv: Venv, requirement: str, constraints: list[Path]) -> None:
    """Install a torch that is right for the machine.

    Where the user configured the sources of pip, they say which build it is. Elsewhere uv chooses: a build without CUDA
    for a machine without an NVIDIA GPU saves gigabytes.

    Args:
        venv: Where to.
        requirement: As pip takes it, like 'torch==2.13.0'.
        constraints: Files with versions of what torch depends on.
    """
    arguments = [requirement, *(part for file in constraints for part in ('-c', str(file)))]
    pip_config = run([venv.python, '-m', 'pip', 'config', 'list'], 'Reading the configuration of pip', venv.log)
    backend = uv_backend(venv.choices['MMEST_CUDA'])
    if backend and not has_own_sources(os.environ, pip_config):
        try:
            venv.pip_install(['uv'], 'uv')
            note(f'uv chooses the build of {requirement} for this machine')
            with venv.installing():
                run(
                    [
                        venv.python,
                        '-m',
                        'uv',
                        'pip',
                        'install',
                        '--python',
                        venv.python,
                        f'--torch-backend={backend}',
                        *arguments,
                    ],
                    f'Installing {requirement} with uv',
                    venv.log,
                )
            return
        except SetupError:
            note('uv could not install it; pip does')
    venv.pip_install(arguments, requirement)


def uv_backend(cuda: str) -> str | None:
    """What uv is to choose from, given MMEST_CUDA; None where the package index's default build is meant: it has
    CUDA.
    """
    return {'0': 'cpu', '1': None}.get(cuda, 'auto')
