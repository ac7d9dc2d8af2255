"""The command ``mmest export``, for those who run scripts."""

import sys

from mmest.cli import main

if __name__ == '__main__':
    main(['export', *sys.argv[1:]])
