"""The command ``mmest demo``, for those who run scripts."""

import os
import sys

# Read when torch is imported: threads that wait by spinning make small steps many times slower on a machine that is
# busy.
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

from mmest.cli import main

if __name__ == '__main__':
    main(['demo', *sys.argv[1:]])
