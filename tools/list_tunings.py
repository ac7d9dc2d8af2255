"""The command ``mmest methods``, for those who run scripts."""

import sys

from mmest.cli import main

if __name__ == '__main__':
    main(['methods', *sys.argv[1:]])
