"""The command ``mmest tables``, for those who run scripts."""

import sys

from mmest.cli import main

if __name__ == '__main__':
    main(['tables', *sys.argv[1:]])
