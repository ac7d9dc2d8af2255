"""Build mmcv from its source release, with the C++ standard that the installed torch needs."""

import os
import re
import shutil
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path

from .commands import run
from .console import Progress, note
from .failures import NO_COMPILER, NO_HEADERS, NO_NVCC, OLD_COMPILER, SetupError
from .torch_choice import release

GIGABYTES_PER_JOB = 1.5
"""What compiling one file of mmcv takes at most."""


@dataclass(frozen=True)
class Torch:
    """The torch that mmcv is built for: its version, its CUDA version ('' without) and the compute capabilities of the
    GPUs.
    """

    version: str
    cuda: str
    capabilities: str

    @classmethod
    def of(cls, python: Path, log: Path) -> 'Torch':
        """Ask the torch that `python` imports."""
        code = (
            'import torch; n = torch.cuda.device_count() if torch.cuda.is_available() else 0; '
            'print("torch:", torch.__version__, torch.version.cuda or "-", '
            '";".join(sorted({"%d.%d" % torch.cuda.get_device_capability(i) for i in range(n)})) or "-")'
        )
        answer = run([python, '-c', code], 'Importing torch', log)
        fields = re.search(r'^torch: (\S+) (\S+) (\S+)$', answer, re.MULTILINE).groups()
        return cls(*('' if field == '-' else field for field in fields))


def cpp_standard(torch_version: str) -> str:
    """The C++ standard that extensions of this torch are compiled with."""
    return 'c++20' if release(torch_version) >= (2, 11) else 'c++17'


def patch_setup(text: str, standard: str) -> str:
    """Mmcv's setup.py with every C++ standard that it asks for replaced.

    Raises:
        SetupError: it asks for none: these are not the sources that this set-up knows.
    """
    patched, count = re.subn(r'([-/]std[=:])c\+\+\d\d', rf'\g<1>{standard}', text)
    if not count:
        raise SetupError(
            "mmcv's setup.py names no C++ standard, so it is not the release that this set-up knows how to build. "
            'Check '
            'requirements/mmcv.txt, or give a ready wheel with the variable MMEST_FIND_LINKS.'
        )
    return patched


def jobs(cores: int, free_gigabytes: float) -> int:
    """How many files are compiled at a time."""
    return max(1, min(cores, int(free_gigabytes / GIGABYTES_PER_JOB)))


def free_memory() -> float:
    """Memory that the machine, or the container that we are in, has left, in GB."""
    limits = []
    try:
        limits.append(int(re.search(r'MemAvailable:\s+(\d+)', Path('/proc/meminfo').read_text()).group(1)) * 1024)
    except (OSError, AttributeError):
        limits.append(os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE'))
    try:
        group = Path('/sys/fs/cgroup')
        limits.append(int((group / 'memory.max').read_text()) - int((group / 'memory.current').read_text()))
    except (OSError, ValueError):  # no cgroup, or one without a limit
        pass
    return min(limits) / 1e9


def cores() -> int:
    """Cores that we may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def wants_cuda(torch: Torch, forced: str) -> bool:
    """Whether mmcv gets its CUDA ops: torch has CUDA and the machine a GPU, or MMEST_CUDA (`forced`) says so.

    Raises:
        SetupError: MMEST_CUDA asks for what this torch cannot do, or is neither 0 nor 1.
    """
    if forced not in ('', '0', '1'):
        raise SetupError(
            f'MMEST_CUDA is {forced!r}, but 1 (with CUDA ops), 0 (CPU alone) or nothing was expected. Correct it or '
            'unset it.'
        )
    if forced == '1' and not torch.cuda:
        raise SetupError(
            f'MMEST_CUDA=1 asks for CUDA ops, but torch {torch.version} was built without CUDA. Remove .venv (make '
            'clean) '
            'and choose a torch with CUDA through MMEST_TORCH or the sources of pip, or unset MMEST_CUDA.'
        )
    if forced:
        return forced == '1'
    return (
        bool(torch.cuda)
        and shutil.which('nvidia-smi') is not None
        and subprocess.run(['nvidia-smi', '-L'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0
    )


def find_cuda_home(version: str) -> Path:
    """The folder of a CUDA toolkit of the major version that torch was built for.

    Raises:
        SetupError: there is none.
    """
    major, found = version.split('.')[0], []
    on_path = shutil.which('nvcc')
    places = [
        os.environ.get('CUDA_HOME'),
        *sorted(map(str, Path('/usr/local').glob(f'cuda-{major}*')), reverse=True),
        '/usr/local/cuda',
        on_path and str(Path(on_path).resolve().parents[1]),
    ]
    for place in filter(None, places):
        try:
            answer = subprocess.run([f'{place}/bin/nvcc', '--version'], capture_output=True, text=True).stdout
        except OSError:
            continue
        match = re.search(r'release (\d+)\.(\d+)', answer)
        if match and match.group(1) == major:
            return Path(place)
        if match:
            found.append(f'{".".join(match.groups())} in {place}')
    raise SetupError(
        NO_NVCC.format(cuda=version, major=major, found='found only ' + ', '.join(found) if found else 'found none')
    )


def check_compiler(python: Path, standard: str) -> None:
    """Compile three lines, so that what is missing is known before the minutes of compilation and by its name."""
    compiler = os.environ.get('CXX', 'c++')
    include = subprocess.run(
        [str(python), '-c', 'import sysconfig; print(sysconfig.get_path("include"))'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    flag = f'-std={standard}'

    def accepts(source: str, *flags: str) -> bool:
        try:
            return (
                subprocess.run(
                    [*compiler.split(), *flags, '-x', 'c++', '-fsyntax-only', '-'],
                    input=source,
                    text=True,
                    capture_output=True,
                ).returncode
                == 0
            )
        except OSError:
            return False

    if not accepts('#include <vector>\nint main() { return 0; }\n'):
        raise SetupError(NO_COMPILER.format(compiler=compiler))
    if not accepts('#include <version>\nint main() { return 0; }\n', flag):
        raise SetupError(OLD_COMPILER.format(compiler=compiler, flag=flag))
    if not accepts('#include <Python.h>\nint main() { return 0; }\n', flag, f'-I{include}'):
        raise SetupError(NO_HEADERS)


def build_environment(python: Path, standard: str, cuda_home: Path | None) -> dict[str, str]:
    """Environment variables of the build."""
    env = dict(os.environ, MMCV_WITH_OPS='1', FORCE_CUDA='1' if cuda_home else '0')
    env['PATH'] = f'{python.parent}{os.pathsep}{env["PATH"]}'  # ninja is there
    env.setdefault('MAX_JOBS', str(jobs(cores(), free_memory())))
    if cuda_home:
        env['CUDA_HOME'] = str(cuda_home)
    else:
        env['CUDA_VISIBLE_DEVICES'] = ''  # mmcv builds CUDA ops wherever torch sees a GPU
    return env


def build(python: Path, requirement: str, torch: Torch, cuda: bool, folder: Path, log: Path) -> Path:
    """Build a wheel of mmcv.

    Args:
        python: Of the environment that has torch, setuptools, wheel and ninja.
        requirement: The release, like 'mmcv==2.1.0'.
        torch: What it is built for.
        cuda: With CUDA ops.
        folder: An empty folder for sources, objects and the wheel.
        log: Where the compiler's output goes.

    Raises:
        SetupError: it did not work; the message says what to install or change.
    """
    standard = cpp_standard(torch.version)
    check_compiler(python, standard)
    cuda_home = find_cuda_home(torch.cuda) if cuda else None
    # Temporary files of a build that is killed lie in its folder, too, and go with it.
    env = dict(build_environment(python, standard, cuda_home), TMPDIR=str(folder))
    pip = [python, '-m', 'pip']
    note(f'fetching the sources of {requirement}')
    run(
        [*pip, 'download', '--no-deps', '--no-binary', ':all:', '--no-build-isolation', '--dest', folder, requirement],
        f'Fetching the sources of {requirement}',
        log,
        env=env,
    )
    with tarfile.open(next(folder.glob('*mmcv-*.tar.gz'))) as archive:
        # Python releases before 3.10.12 and 3.11.4 know no filters, later ones ask for one.
        archive.extractall(folder, **({'filter': 'data'} if hasattr(tarfile, 'data_filter') else {}))
    sources = next(path for path in folder.glob('*mmcv-*') if path.is_dir())
    setup = sources / 'setup.py'
    setup.write_text(patch_setup(setup.read_text(encoding='utf-8'), standard), encoding='utf-8')
    note(
        f'compiling with {standard}, {"CUDA " + torch.cuda if cuda else "CPU ops"}, {env["MAX_JOBS"]} files at a '
        'time (MAX_JOBS); '
        'about 30 minutes of one core without CUDA'
    )
    progress = Progress('compiling mmcv')
    progress.status('the first files; then it is known how far it is')

    def show(line: str) -> None:
        match = re.match(r'\s*\[(\d+)/(\d+)\] ', line)
        if match:
            progress.update(int(match.group(1)), int(match.group(2)))

    try:
        run(
            [*pip, 'wheel', '-v', '--no-build-isolation', '--no-deps', '--wheel-dir', folder, sources],
            f'Building {requirement}',
            log,
            show,
            env=env,
            cwd=folder,
        )
    finally:
        progress.close()
    return next(folder.glob('*mmcv-*.whl'))
