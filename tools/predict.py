"""The command ``mmest predict``, for those who run scripts."""

import sys

from mmest.cli import main

if __name__ == '__main__':
    main(['predict', *sys.argv[1:]])
