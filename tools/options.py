"""Options that several commands share."""

import argparse
import warnings
from pathlib import Path

# mmengine's import of it warns at every start.
warnings.filterwarnings('ignore', message='pkg_resources is deprecated')


def command(description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser whose help keeps the line breaks of its examples."""
    return argparse.ArgumentParser(
        description=description, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options of the commands that build a runner from a config."""
    from mmengine.config import DictAction

    parser.add_argument(
        '--work-dir',
        type=Path,
        metavar='DIR',
        help='where checkpoints and logs go (default: work_dirs/<dataset>_<config>)',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=DictAction, metavar='KEY=VALUE', help='set single values of the config'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        help='how processes were started (default: pytorch under torchrun, else none)',
    )


def parse_run(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """Parse; what DictAction cannot read is an error of usage."""
    try:
        return parser.parse_args()
    except ValueError:
        parser.error('--cfg-options takes KEY=VALUE pairs, such as train_dataloader.batch_size=2')


def add_step_options(parser: argparse.ArgumentParser) -> None:
    """Options of the commands that measure a training step of one config under several methods."""
    parser.add_argument('config', metavar='CONFIG', help='a config of mmdet or mmseg that uses TunedBackbone')
    parser.add_argument(
        '--tunings',
        nargs='+',
        default=['full', 'frozen', 'partial', 'est'],
        metavar='NAME',
        help='files of configs/_base_/tunings (default: full frozen partial est); shares need "full" among them',
    )
    parser.add_argument(
        '--size',
        nargs=2,
        type=int,
        default=[512, 512],
        metavar=('H', 'W'),
        help='image size in pixels (default: 512 512)',
    )
    parser.add_argument('--batch-size', type=int, default=2, metavar='N', help='images in the batch (default: 2)')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='where to train (default: cpu)')
    parser.add_argument(
        '--precision',
        choices=['fp32', 'fp16', 'bf16'],
        default='fp32',
        help='of the forward pass; fp16 and bf16 on CUDA (default: fp32)',
    )
    parser.add_argument('--out', type=Path, metavar='FILE.json', help='also write all figures there')
