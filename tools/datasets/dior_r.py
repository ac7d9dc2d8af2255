"""The command ``mmest data prepare dior_r``, for those who run scripts."""

import sys
from pathlib import Path

from mmest.cli import main

if __name__ == '__main__':
    main(['data', 'prepare', Path(__file__).stem, *sys.argv[1:]])
