"""The command ``mmest plan``, for those who run scripts."""

import sys

from mmest.cli import main

if __name__ == '__main__':
    main(['plan', *sys.argv[1:]])
