"""The command ``mmest time``, for those who run scripts."""

import sys

from mmest.cli import main

if __name__ == '__main__':
    main(['time', *sys.argv[1:]])
