"""The command ``mmest data synthetic``, for those who run scripts."""

import sys

from mmest.cli import main

if __name__ == '__main__':
    main(['data', 'synthetic', *sys.argv[1:]])
