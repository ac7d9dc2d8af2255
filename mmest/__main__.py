"""``python -m mmest NAME ...``, the same as ``mmest NAME ...``."""

from mmest.cli import main

if __name__ == '__main__':
    main()
