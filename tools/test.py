"""The command ``mmest test``, for those who run scripts."""

import sys

from mmest.cli import main

if __name__ == '__main__':
    main(['test', *sys.argv[1:]])
