"""Where a wheel of mmcv comes from: given, cached, offered by pip's sources, or built; and the proof that it works."""

import os
import re
import shutil
from pathlib import Path

from . import mmcv_build
from .commands import run
from .console import note
from .failures import SetupError
from .mmcv_build import Torch
from .venv import Venv

VERIFY = """
import mmcv._ext, torch
from mmcv.ops import nms, roi_align
devices = ["cpu"] + (["cuda"] if {cuda} and torch.cuda.is_available() else [])
for device in devices:
    boxes = torch.tensor([[0., 0., 10., 10.], [1., 1., 10., 10.], [20., 20., 30., 30.]], device=device)
    scores = torch.tensor([.9, .8, .7], device=device)
    assert nms(boxes, scores, 0.5)[1].tolist() == [0, 2], "nms keeps the wrong boxes on " + device
    image = torch.arange(64., device=device).reshape(1, 1, 8, 8).requires_grad_()
    rois = torch.tensor([[0., 0., 0., 8., 8.]], device=device)
    pooled = roi_align(image, rois, (2, 2), 1.0, 2, "avg", True)
    pooled.sum().backward()
    expected = torch.tensor([[13.5, 17.5], [45.5, 49.5]], device=device)
    assert torch.allclose(pooled[0, 0], expected), "roi_align gives wrong values on " + device
    assert abs(image.grad.sum().item() - 4) < 1e-4, "roi_align gives wrong gradients on " + device
print("verified on", *devices)
"""


def cache_root() -> Path:
    """The folder of mmest in the user's cache directory."""
    base = os.environ.get('XDG_CACHE_HOME', '')
    return (Path(base) if os.path.isabs(base) else Path.home() / '.cache') / 'mmest'


def cache_key(mmcv: str, torch: Torch, cuda: bool, python_tag: str, platform: str) -> str:
    """Name of the folder of a wheel: all that a compiled mmcv depends on.

    Args:
        mmcv: Name and version, like 'mmcv2.1.0'.
        torch: The torch that it is built for.
        cuda: With CUDA ops: then the CUDA version and the compute capabilities matter, too.
        python_tag: Like 'cp311'.
        platform: Like 'linux_x86_64'.
    """
    compute = f'cuda{torch.cuda}-sm{torch.capabilities or "-all"}' if cuda else 'cpu'
    key = '-'.join((mmcv, f'torch{torch.version}', compute, python_tag, platform))
    return re.sub(r'[^\w.+-]+', '_', key)


class WheelCache:
    """Wheels by key. A wheel is there as a whole or not at all.

    Args:
        root: Folder of all keys.
        key: See `cache_key`.
    """

    def __init__(self, root: Path, key: str) -> None:
        self.folder = root / key

    def get(self) -> Path | None:
        """The wheel, or None."""
        return next(self.folder.glob('*mmcv-*.whl'), None)

    def put(self, wheel: Path) -> None:
        """Keep a copy of a wheel."""
        self.folder.mkdir(parents=True, exist_ok=True)
        beside = self.folder / f'{wheel.name}.{os.getpid()}.tmp'
        shutil.copyfile(wheel, beside)
        os.replace(beside, self.folder / wheel.name)

    def discard(self) -> None:
        """Forget the wheel."""
        shutil.rmtree(self.folder, ignore_errors=True)


class MMCVInstaller:
    """Install mmcv with its compiled ops into a virtual environment.

    Args:
        venv: Has torch, setuptools, wheel, ninja and opencv.
        requirement: The release, like 'mmcv==2.1.0' or 'onedl-mmcv==2.3.6'.
    """

    def __init__(self, venv: Venv, requirement: str) -> None:
        self.venv, self.requirement = venv, requirement
        self.torch = Torch.of(venv.python, venv.log)
        self.cuda = mmcv_build.wants_cuda(self.torch, venv.choices['MMEST_CUDA'])
        tags = run(
            [
                venv.python,
                '-c',
                'import sys, sysconfig; print("tags: cp%d%d" % sys.version_info[:2], sysconfig.get_platform())',
            ],
            'Asking Python for its platform',
            venv.log,
        )
        python_tag, platform = re.search(r'^tags: (\S+) (\S+)$', tags, re.MULTILINE).groups()
        self.cache = WheelCache(
            cache_root() / 'wheels',
            cache_key(requirement.replace('==', ''), self.torch, self.cuda, python_tag, platform),
        )

    def install(self) -> str:
        """Install the first wheel that works; returns where it came from.

        Raises:
            SetupError: a wheel that was asked for does not work, or none could be built.
        """
        scratch = self.venv.root / 'mmcv'
        shutil.rmtree(scratch, ignore_errors=True)  # of a run that was killed
        try:
            return self._install(scratch / str(os.getpid()))
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _install(self, folder: Path) -> str:
        folder.mkdir(parents=True)
        links = os.environ.get('MMEST_FIND_LINKS', '').split()
        if links:
            return self._install_given(links, folder)
        if self.cache.get():
            if not self._problem(self.cache.get()):
                return f'from the cache: {self.cache.folder}'
            note('the cached wheel does not work and is removed')
            self.cache.discard()
        offered = self._offered(folder)
        if offered:
            problem = self._problem(offered)
            if not problem:
                self.cache.put(offered)
                return 'a wheel that the sources of pip offer'
            note(f'the wheel that the sources of pip offer does not work here: {problem}')
        return self._install_built(folder / 'build')

    def _install_given(self, links: list, folder: Path) -> str:
        where = ' '.join(links)
        wheels = [link for link in links if link.endswith('.whl')]
        command = [self.venv.python, '-m', 'pip', 'download', '--no-deps', '--dest', folder, '--only-binary', ':all:']
        for link in links:
            if link not in wheels:
                command += ['--find-links', link]
        try:
            run(
                command + (wheels or ['--no-index', self.requirement]), f'Looking for {self.requirement}', self.venv.log
            )
            wheel = next(folder.glob('*mmcv-*.whl'))
        except (SetupError, StopIteration) as error:
            raise SetupError(
                f'MMEST_FIND_LINKS={where} holds no wheel of {self.requirement} for this Python and platform '
                f'({self.cache.folder.name}). Let it name a folder or a link with such a wheel, or unset it to have '
                'mmcv '
                f'built from source. What pip said is in {self.venv.log}.'
            ) from error
        problem = self._problem(wheel)
        if problem:
            raise SetupError(
                f'The wheel {wheel.name} of MMEST_FIND_LINKS={where} does not work with torch {self.torch.version}: '
                f'{problem}. It was probably built for another torch. Give one that was built for this one, or unset '
                'MMEST_FIND_LINKS to have mmcv built from source.'
            )
        self.cache.put(wheel)
        return f'the wheel of MMEST_FIND_LINKS={where}; kept in {self.cache.folder}'

    def _offered(self, folder: Path) -> Path | None:
        try:
            run(
                [
                    self.venv.python,
                    '-m',
                    'pip',
                    'download',
                    '--no-deps',
                    '--only-binary',
                    ':all:',
                    '--dest',
                    folder,
                    self.requirement,
                ],
                f'Looking for a wheel of {self.requirement}',
                self.venv.log,
            )
        except SetupError:  # the usual case: there is none, and one is built
            return None
        return next(folder.glob('*mmcv-*.whl'), None)

    def _install_built(self, folder: Path) -> str:
        folder.mkdir()
        wheel = mmcv_build.build(self.venv.python, self.requirement, self.torch, self.cuda, folder, self.venv.log)
        problem = self._problem(wheel)
        if problem:
            raise SetupError(
                f'mmcv was built for torch {self.torch.version}, but does not work: {problem}. Use the pinned torch '
                '(unset '
                f'MMEST_TORCH), or report this with the log {self.venv.log}.'
            )
        self.cache.put(wheel)
        return f'built from source; kept in {self.cache.folder}'

    def _problem(self, wheel: Path) -> str | None:
        """Install a wheel and run its ops; what is wrong with it, or None."""
        try:
            self.venv.pip_install(['--no-deps', '--force-reinstall', str(wheel)], 'mmcv')
            run([self.venv.python, '-c', VERIFY.format(cuda=self.cuda)], 'Running the ops of mmcv', self.venv.log)
        except SetupError as error:
            named = re.findall(r'^\w*Error[^\n]*', error.output, re.MULTILINE)
            return named[-1] if named else str(error)
        return None
