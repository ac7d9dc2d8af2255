"""The command ``mmest benchmark``, for those who run scripts."""

import sys

from mmest.cli import main

if __name__ == '__main__':
    main(['benchmark', *sys.argv[1:]])
