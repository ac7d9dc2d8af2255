"""The command ``mmest memory``, for those who run scripts."""

import sys

from mmest.cli import main

if __name__ == '__main__':
    main(['memory', *sys.argv[1:]])
