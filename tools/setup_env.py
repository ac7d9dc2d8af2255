"""Make .venv: torch, OpenMMLab's packages with mmcv's compiled ops, and mmest itself.

Run through `make setup`; `make demo` and `make test` do so by themselves. What is done already is not done again.

Examples:
    make setup
    PYTHON=python3.12 make setup               # another Python than the first suitable one
    MMEST_TORCH=torch==2.9.1 make setup        # another torch than the pinned one
    MMEST_TORCH=existing make setup            # the torch that PYTHON can import already
    MMEST_CUDA=0 make setup                    # no CUDA ops, although there is a GPU
    MMEST_CUDA=1 make setup                    # CUDA ops, although there is no GPU
    MMEST_FIND_LINKS=/path/to/wheels make setup    # a ready wheel of mmcv: a folder, a page of links, or the wheel
    MAX_JOBS=1 make setup                      # compile one file at a time: less memory
    make setup STACK=onedl                     # OpenMMLab's maintained forks, with mmrotate: .venv-onedl
"""

import sys

if sys.version_info < (3, 10):
    sys.exit(
        'mmest needs Python 3.10 or later, but %s is Python %d.%d. Install one, or name one with the variable PYTHON '
        '(PYTHON=/path/to/python3 make setup).' % ((sys.executable,) + tuple(sys.version_info[:2]))
    )

import argparse
import signal
from pathlib import Path

from environment.failures import SetupError, explain
from environment.plan import ENVIRONMENTS, set_up


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--stack', choices=ENVIRONMENTS, default='openmmlab', metavar='STACK', help='openmmlab or onedl'
    )
    stack = parser.parse_args().stack
    for number in (signal.SIGTERM, signal.SIGHUP):  # a closed terminal must not leave a compilation behind
        signal.signal(number, lambda *_: sys.exit('Stopped. Run the command again to go on.'))
    try:
        set_up(Path(__file__).resolve().parents[1], stack)
    except SetupError as error:
        sys.exit(f'\nThe set-up stopped. {error}')
    except OSError as error:  # of our own files: those of the commands are explained by what they print
        sys.exit(
            '\nThe set-up stopped. '
            f'{explain(str(error)) or f"{error}. Put right what it names, and run the command again."}'
        )
    except KeyboardInterrupt:
        sys.exit('\nStopped. Run the command again to go on.')


if __name__ == '__main__':
    main()
