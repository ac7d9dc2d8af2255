"""What the command ``mmest`` starts: its help at once, all else in :mod:`mmest.cli`, which needs torch and seconds."""

import os
import runpy
import sys
from importlib.util import find_spec
from pathlib import Path


def main() -> None:
    """Run the command line of this process."""
    if sys.argv[1:] in ([], ['-h'], ['--help']):
        package = Path(find_spec('mmest').origin).parent  # found, not imported
        print(runpy.run_path(str(package / 'cli' / '_overview.py'))['overview']())
        return
    if sys.argv[1] == 'demo':
        # Read when torch is imported: threads that wait by spinning make small steps many times slower on a machine
        # that is busy.
        os.environ.setdefault('OMP_WAIT_POLICY', 'passive')
    from mmest.cli import main as run

    run()


if __name__ == '__main__':
    main()
