"""The command ``mmest train``, for those who run scripts."""

import sys

from mmest.cli import main

if __name__ == '__main__':
    main(['train', *sys.argv[1:]])
