"""Pretrain a small Swin on one domain of the embedded data set and adapt it to the other by Full, Frozen and EST.

Examples:
    python tools/demo.py
    python tools/demo.py --fresh                    # forget what finished before
    python tools/demo.py --work-dir /tmp/demo

It ends with one table and with pictures in the work dir. A run that was stopped goes on at the part where it stopped.
"""

import argparse
import os
import sys
from pathlib import Path

# Read when torch is imported: threads that wait by spinning make small steps many times slower on a machine that is
# busy.
os.environ.setdefault('OMP_WAIT_POLICY', 'passive')

from mmest.demo import run_demo


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        '--work-dir',
        metavar='DIR',
        type=Path,
        default=Path('work_dirs/demo'),
        help='folder of data, runs and pictures (default: work_dirs/demo)',
    )
    parser.add_argument('--fresh', action='store_true', help='run every part again')
    args = parser.parse_args()
    try:
        run_demo(args.work_dir, args.fresh)
    except KeyboardInterrupt:
        sys.exit('\nStopped. What is finished is kept; run the demo again to go on.')


if __name__ == '__main__':
    main()
