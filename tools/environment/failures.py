"""From the output of a failed command to one paragraph that says what to install or change."""

import re
import signal
import sys
from pathlib import Path


class SetupError(Exception):
    """A failure of the set-up, with a message that says what to do; `output` is what the failed command printed, if
    any.
    """

    def __init__(self, message: str, output: str = '') -> None:
        super().__init__(message)
        self.output = output


VERSION = f'{sys.version_info.major}.{sys.version_info.minor}'

NO_COMPILER = (
    'Found no working C++ compiler ({compiler}), and mmcv has to be compiled for this torch. Install one (Debian, '
    'Ubuntu: apt install g++; Fedora, RHEL: dnf install gcc-c++; macOS: xcode-select --install), or point the '
    'variable CXX at one, and run the command again.'
)
OLD_COMPILER = (
    'The C++ compiler {compiler} does not accept {flag}, which the installed torch needs. Install a newer one (GCC 11 '
    'or Clang 14 and later do), point the variable CXX at it, and run the command again.'
)
NO_HEADERS = (
    f'The headers of Python {VERSION} (Python.h) are not installed, and mmcv has to be compiled against them. Install '
    f'them (Debian, Ubuntu: apt install python{VERSION}-dev; Fedora, RHEL: dnf install python3-devel), or choose '
    'another Python with the variable PYTHON (PYTHON=/path/to/python3 make setup), and run the command again.'
)
NO_NVCC = (
    'This machine has an NVIDIA GPU and torch was built for CUDA {cuda}, so mmcv is built with its CUDA ops, but '
    'nvcc of '
    'CUDA {major} was not found ({found}). Install the CUDA toolkit {major}.x and let CUDA_HOME point at it, or set '
    'MMEST_CUDA=0 to build mmcv for the CPU alone, and run the command again.'
)
NO_VENV = (
    'Python {python} cannot make virtual environments: its modules venv or ensurepip are missing. Install them '
    '(Debian, '
    'Ubuntu: apt install python3-venv), or choose another Python with the variable PYTHON (PYTHON=/path/to/python3 '
    'make '
    'setup), and run the command again.'
)
OUT_OF_MEMORY = (
    'The compiler ran out of memory. Set MAX_JOBS=1, so that one file is compiled at a time (about 1.5 GB each), close '
    'what else is using memory, and run the command again.'
)
NO_SPACE = (
    'The disk is full. Make room where .venv, the cache and the temporary folder (TMPDIR) are, and run the command '
    'again.'
)
NO_NETWORK = (
    'The package index could not be reached. Check the network connection, a proxy (HTTPS_PROXY) and the sources of '
    'pip '
    '(pip config list), and run the command again. Without a network, put all wheels into one folder and set '
    'PIP_NO_INDEX=1 PIP_FIND_LINKS=FOLDER.'
)
NOT_OFFERED = (
    'The package sources of pip (pip config list) offer no {requirement} for Python '
    + VERSION
    + ' on this machine. Use '
    'a Python from 3.10 to 3.13 (PYTHON=/path/to/python3 make setup) and a complete package index, or, if this is '
    'torch, ask for another release with the variable MMEST_TORCH (MMEST_TORCH=torch==2.9.1).'
)

# Order matters: a full disk or a lack of memory also shows up as a failed compilation.
_CAUSES = (
    (r'No space left on device', NO_SPACE),
    (
        r'Killed signal terminated program|virtual memory exhausted|[Cc]annot allocate memory|out of memory allocating'
        r'|internal compiler error: Killed|\bstd::bad_alloc\b',
        OUT_OF_MEMORY,
    ),
    (r'fatal error: Python\.h', NO_HEADERS),
    (
        r'Temporary failure in name resolution|Name or service not known|nodename nor servname|getaddrinfo failed'
        r'|Failed to establish a new connection|Network is unreachable|Connection refused|Cannot connect to proxy'
        r'|Read timed out|ConnectTimeoutError',
        NO_NETWORK,
    ),
    (r'No matching distribution found for (?P<requirement>[^\s(]+)', NOT_OFFERED),
)


def explain(output: str) -> str | None:
    """The paragraph for the first known cause found in the output of a failed command, or None."""
    for pattern, paragraph in _CAUSES:
        match = re.search(pattern, output)
        if match:
            return paragraph.format(**match.groupdict())
    return None


def failure(what: str, output: str, log: Path, returncode: int) -> SetupError:
    """The error for a failed command.

    Args:
        what: What the command was to do, as in 'installing torch'.
        output: What it printed.
        log: Where that is kept.
        returncode: Its exit status; below zero the signal that ended it.
    """
    paragraph = explain(output)
    if paragraph is None and returncode < 0:
        paragraph = (
            f'The command was ended from outside, by {signal.Signals(-returncode).name} (SIGKILL: perhaps for want of '
            'memory; MAX_JOBS=1 needs least). Run the command again: what is finished is kept.'
        )
    if paragraph is None:
        lines = [line.strip() for line in output.splitlines() if line.strip()]
        errors = (
            [line for line in lines if re.search(r'\berror\b', line, re.IGNORECASE)]
            or lines[-1:]
            or ['it printed nothing']
        )
        # pip closes with words about itself; the first error is the one that says what is wrong.
        paragraph = (
            f'The command ended with status {returncode}; its first error was: "{errors[0]}". Put right what it '
            'names, and run the command again: what is finished is kept.'
        )
    return SetupError(f'{what} failed. {paragraph} The full output is in {log}.', output)
