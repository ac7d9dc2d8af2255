"""The steps of the set-up, in order."""

import hashlib
import subprocess
import sys
from pathlib import Path

from .commands import run
from .console import Steps, note
from .mmcv_wheel import MMCVInstaller
from .torch_choice import existing_torch, install_torch
from .venv import Venv, alone

TITLES = {
    'venv': 'a virtual environment',
    'torch': 'torch',
    'packages': 'mmengine, mmdet, mmsegmentation and what they need',
    'mmcv': 'mmcv with its compiled ops',
    'mmest': 'mmest, and a look at whether all of it imports',
}
ENVIRONMENTS = {'openmmlab': '.venv', 'onedl': '.venv-onedl'}
"""By stack the folder of its environment: their packages have the same import names, so one cannot hold both."""
_SHARED = 'mmcv.ops, mmdet.apis, mmseg.apis, mmest'
MODULES = {'openmmlab': _SHARED, 'onedl': f'{_SHARED}, mmest.datasets.oriented'}


def step_inputs(root: Path, stack: str, choices: dict[str, str]) -> dict[str, str]:
    """For each step a hash of what it depends on, the steps before it included: a change of it means to run the step
    again.
    """
    names = dict(
        packages=f'{stack}/packages',
        mmcv=f'{stack}/mmcv',
        **{name: name for name in ('build', 'torch', 'runtime', 'tests')},
    )
    files = {name: (root / 'requirements' / f'{file}.txt').read_text() for name, file in names.items()}
    depends = {
        'venv': [str(root), choices['PYTHON'], choices['MMEST_TORCH'] == 'existing'],
        'torch': [files['build'], files['torch'], choices['MMEST_TORCH'], choices['MMEST_CUDA']],
        'packages': [files['runtime'], files['packages'], files['tests']],
        'mmcv': [files['mmcv']],
        'mmest': [(root / name).read_text() for name in ('setup.py', 'pyproject.toml')],
    }
    inputs, digest = {}, hashlib.sha256()
    for step, values in depends.items():
        digest.update(repr(values).encode())
        inputs[step] = digest.hexdigest()[:16]
    return inputs


class Plan:
    """What each step does.

    Args:
        root: The project's folder.
        stack: 'openmmlab', or 'onedl', the maintained forks with mmrotate.
    """

    def __init__(self, root: Path, stack: str) -> None:
        self.root, self.stack, self.requirements = root, stack, root / 'requirements'
        self.own = self.requirements / stack
        self.venv = Venv(root / ENVIRONMENTS[stack])
        self.inputs = step_inputs(root, stack, self.venv.choices)
        self.torch = self.venv.choices['MMEST_TORCH']

    def finished(self) -> bool:
        """Whether nothing is left to do."""
        return all(self.venv.finished(step, self.inputs[step]) for step in TITLES)

    def run(self) -> None:
        """Take every step that is not finished.

        Raises:
            SetupError: a step failed; the message says what to do.
        """
        actions = (self.make_venv, self.install_torch, self.install_packages, self.install_mmcv, self.install_mmest)
        steps = Steps(list(TITLES.values()))
        for step, action in zip(TITLES, actions):
            steps.begin()
            if self.venv.finished(step, self.inputs[step]):
                steps.end('done before')
                continue
            result = action()
            self.venv.finish(step, self.inputs[step])
            steps.end(result)
        print(f'The set-up is done. Activate it with: source {self.venv.root.name}/bin/activate', flush=True)

    @property
    def packages(self) -> list[Path]:
        return [self.requirements / 'runtime.txt', self.own / 'packages.txt']

    def make_venv(self) -> str:
        existing = None
        if self.torch == 'existing':
            version, existing = existing_torch()
            note(f'with the torch {version} of {sys.executable}')
        self.venv.create(self.inputs['venv'], existing)
        return f'Python {sys.version.split()[0]}'

    def install_torch(self) -> str:
        with self.venv.installing():  # pip replaces itself here: cut off, it would not run again
            run(
                [self.venv.python, '-m', 'pip', 'install', '-r', self.requirements / 'build.txt'],
                'Installing pip and ninja',
                self.venv.log,
            )
        if self.torch == 'existing':
            version, _ = existing_torch(str(self.venv.python))
            return f'torch {version}, found outside'
        requirement = self.torch or pinned(self.requirements / 'torch.txt', 'torch')
        # Of another torch than the pinned one only what it shares with the rest is known.
        constraints = self.packages if self.torch else [self.requirements / 'torch.txt']
        install_torch(self.venv, requirement, constraints)
        version, _ = existing_torch(str(self.venv.python))
        return f'torch {version}'

    def install_packages(self) -> str:
        files = [*self.packages, self.requirements / 'tests.txt']
        self.venv.pip_install([part for file in files for part in ('-r', str(file))], 'packages')
        imports = subprocess.run([str(self.venv.python), '-c', 'import cv2'], capture_output=True, text=True)
        if imports.returncode:
            # Without a desktop libGL and its like are missing, and root would be needed to install them.
            note(
                f'opencv-python does not import here ({imports.stderr.strip().splitlines()[-1]}): its build without '
                'windows replaces it'
            )
            version = pinned(self.own / 'packages.txt', 'opencv-python').partition('==')[2]
            self.venv.pip_install(
                ['--no-deps', '--force-reinstall', f'opencv-python-headless=={version}'], 'opencv-python-headless'
            )
        return 'installed'

    def install_mmcv(self) -> str:
        return MMCVInstaller(self.venv, pinned(self.own / 'mmcv.txt', 'mmcv')).install()

    def install_mmest(self) -> str:
        self.venv.pip_install(['--no-build-isolation', '--no-deps', '-e', str(self.root)], 'mmest')
        answer = run(
            [
                self.venv.python,
                '-W',
                'ignore',
                '-c',
                f'import {MODULES[self.stack]}, torch; '
                'print("versions: torch", torch.__version__, "mmcv", mmcv.__version__, "mmdet", mmdet.__version__, '
                '"mmseg", '
                'mmseg.__version__, "mmest", mmest.__version__)',
            ],
            'Importing what was installed',
            self.venv.log,
        )
        return answer.rpartition('versions: ')[2].strip()


def pinned(file: Path, name: str) -> str:
    """The requirement of one package, or of its fork, in a requirements file.

    Raises:
        LookupError: the file does not pin it.
    """
    for line in file.read_text().splitlines():
        if line.startswith((f'{name}==', f'onedl-{name}==')):
            return line.split(';')[0].strip()
    raise LookupError(f'{file} pins no {name}.')


def set_up(root: Path, stack: str) -> None:
    """Bring the environment of a stack of the project in `root` up to date.

    Raises:
        SetupError: a step failed; the message says what to do.
    """
    if Plan(root, stack).finished():
        print(f'The set-up is done already ({ENVIRONMENTS[stack]}).')
        return
    with alone(root / ENVIRONMENTS[stack]):
        Plan(root, stack).run()  # anew: the one that was waited for may have finished all or some of it
