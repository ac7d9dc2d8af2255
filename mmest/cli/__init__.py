"""The command ``mmest NAME ...``.

Each file of this folder is a command, each folder a command with others below it; their names are the files' names. A
command has a docstring, whose first sentence is its line in the help, and

* ``add_arguments(parser)``, which adds its arguments,
* ``run(args)``, which does the work. A ValueError or a FileNotFoundError that it raises as a :class:`Refusal`, see
  :func:`refusing`, is printed as ``name: message``, without a traceback; the exit status is then 1,
* ``EPILOG``, if it likes: the end of its help, with examples.
"""

import argparse
import difflib
import importlib
import io
import logging
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

from ._overview import command_files, listing, overview
from ._refusal import Refusal


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command line.

    Args:
        arguments: what follows ``mmest`` (default: of this process).

    Raises:
        SystemExit: the command refuses, or the command line is wrong.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files may be no UTF-8
        sys.stdout.reconfigure(errors='backslashreplace')
    warnings.filterwarnings('ignore', message='pkg_resources is deprecated')  # of mmengine, at every start
    # What they deprecate of each other is for their own developers.
    warnings.filterwarnings('ignore', category=UserWarning, module=r'(torch|mmengine|mmcv|mmdet|mmseg)\.')
    if not words or words[0] in ('-h', '--help'):
        print(overview())
        return
    if words[0] == '--version':
        from mmest import __version__

        print(__version__)
        return
    name, folder, package = words.pop(0), Path(__file__).parent, __name__
    module = _command(name, folder, package, 'mmest')
    while hasattr(module, '__path__'):  # a package: the next word names the command
        prog, folder, package = f'mmest {name}', folder / module.__name__.rpartition('.')[2], module.__name__
        if not words or words[0] in ('-h', '--help'):
            print(f'usage: {prog} COMMAND ...\n\n{module.__doc__}\n\ncommands:\n{listing(folder)}')
            return
        word = words.pop(0)
        module, name = _command(word, folder, package, prog), f'{name} {word}'
    parser = argparse.ArgumentParser(
        prog=f'mmest {name}',
        description=module.__doc__,
        epilog=getattr(module, 'EPILOG', None),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    args = parser.parse_args(words)
    from mmengine.logging import MMLogger

    # What is read and loaded from where; a run has a logger of its own.
    logger = MMLogger.get_current_instance()
    logger.setLevel('WARNING')
    for handler in logger.handlers:
        handler.setFormatter(logging.Formatter('note: %(message)s'))
    try:
        module.run(args)
    except Refusal as refusal:
        sys.exit(f'{name}: {refusal}')
    except KeyboardInterrupt:
        print(f'{name}: interrupted.', file=sys.stderr)
        sys.exit(130)  # as shells have it
    except OSError as error:
        from mmest.files import NO_ACCESS, place_of

        if error.errno not in NO_ACCESS:
            raise
        sys.exit(f'{name}: {place_of(error) or "A file"} cannot be read or written: {error.strerror}.')
    except (MemoryError, RuntimeError) as error:
        from mmest.measure.device import memory_shortage

        shortage = memory_shortage(error)
        if shortage is None:
            raise
        sys.exit(f'{name}: {shortage}. Take a smaller batch, size or tile, or the CPU (--device cpu).')


def _command(name: str, folder: Path, package: str, prog: str) -> ModuleType:
    """The module of a command; the process ends with a sentence if there is none."""
    names = list(command_files(folder))
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1)
        hint = f'Did you mean {prog} {near[0]}?' if near else f'There are {", ".join(names)}.'
        sys.exit(f'mmest: there is no command "{prog} {name}". {hint}')
    return importlib.import_module(f'{package}.{name}')
