"""The command ``mmest report``, for those who run scripts."""

import sys

from mmest.cli import main

if __name__ == '__main__':
    main(['report', *sys.argv[1:]])
