"""Options that several commands share."""

import argparse
import math
from collections.abc import Callable
from typing import TypeVar

from mmengine.config import Config, DictAction

from mmest.checkpoints.safe import TRUST, trust
from mmest.cli._places import file_to_write, folder_to_write
from mmest.configs import open_config
from mmest.pictures.decoders.bands import check_choice
from mmest.prediction.training_scale import shown_in_training

Number = TypeVar('Number', int, float)


class Settings(DictAction):
    """KEY=VALUE pairs; what cannot be read is an error of usage."""

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        try:
            super().__call__(parser, namespace, values, option_string)
        except ValueError:
            parser.error(f'{option_string} takes KEY=VALUE pairs, such as train_dataloader.batch_size=2')


def at_least(smallest: int, largest: int | None = None) -> Callable[[str], int]:
    """A whole number within limits, as the type of an argument."""

    def number(text: str) -> int:
        return _within(int(text), smallest, largest)

    number.__name__ = 'whole number'  # argparse names the type where the text is none
    return number


def above_zero(text: str) -> float:
    """A positive number, as the type of an argument."""
    number = float(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f'{text} is not above 0')
    return number


above_zero.__name__ = 'number'  # argparse names the type where the text is none


def between(smallest: float, largest: float) -> Callable[[str], float]:
    """A number within limits, as the type of an argument."""

    def number(text: str) -> float:
        return _within(float(text), smallest, largest)

    return number


def bands(text: str) -> tuple[int, ...]:
    """Numbers of bands with commas between, as the type of an argument."""
    try:
        return check_choice([int(number) for number in text.split(',')]) or ()
    except ValueError:
        raise argparse.ArgumentTypeError(
            f'it should be three numbers from 1 on, such as 3,2,1, or one, but it is {text}'
        ) from None


def add_bands(parser: argparse._ActionsContainer, default: str = 'the first three') -> None:
    """The bands of the images that are shown."""
    parser.add_argument(
        '--bands',
        type=bands,
        metavar='R,G,B',
        help='bands of TIFF and JPEG 2000 files that are red, green and blue, such as 3,2,1; one is shown as grey '
        f'(default: {default})',
    )


#: The seed of all random numbers, as NumPy takes it.
seed = at_least(0, 2**32 - 1)


def _within(value: Number, smallest: Number, largest: Number | None) -> Number:
    if largest is not None and not smallest <= value <= largest:
        raise argparse.ArgumentTypeError(f'it should be from {smallest} to {largest}, but it is {value}')
    if largest is None and not smallest <= value:
        raise argparse.ArgumentTypeError(f'it should be at least {smallest}, but it is {value}')
    return value


def add_config(parser: argparse.ArgumentParser, meaning: str = 'a config', **more) -> None:
    """The config that a command is about, and the backbone to swap in."""
    parser.add_argument(
        'config',
        metavar='CONFIG',
        help=f'{meaning}: a file, or the name of a shipped one, such as detection/dior/faster-rcnn',
        **more,
    )
    parser.add_argument('--backbone', metavar='NAME', help="a backbone instead of the config's: see mmest configs")


def as_given(args: argparse.Namespace) -> str:
    """The config of :func:`add_config` as the command line has it, with the backbone that is swapped in."""
    return f'{args.config} --backbone {args.backbone}' if args.backbone else args.config


class _Trust(argparse.Action):
    """Trusts checkpoints from the moment it is read."""

    def __init__(self, option_strings: list[str], dest: str, **more) -> None:
        super().__init__(option_strings, dest, nargs=0, **more)

    def __call__(self, parser, namespace, values, option_string=None) -> None:
        trust()


def add_trust(parser: argparse.ArgumentParser) -> None:
    """The switch that lets checkpoints run code."""
    parser.add_argument(
        '--trust-checkpoint',
        action=_Trust,
        help=f'load checkpoints that hold more than tensors and plain types, and so can run code (also: {TRUST}=1)',
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """Options of the commands that build a runner from a config."""
    parser.add_argument(
        '--work-dir',
        type=folder_to_write,
        metavar='DIR',
        help='where checkpoints and logs go (default: work_dirs/<dataset>_<config>)',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=Settings, metavar='KEY=VALUE', help='set single values of the config'
    )
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm', 'mpi'],
        help='how processes were started (default: pytorch under torchrun, else none)',
    )
    # Of torch.distributed.launch, by which mim starts several; the environment says the same.
    parser.add_argument('--local-rank', help=argparse.SUPPRESS)
    add_trust(parser)


def add_size(parser: argparse.ArgumentParser, meaning: str) -> None:
    """The size of images."""
    parser.add_argument(
        '--size',
        nargs=2,
        type=at_least(32, 32768),
        metavar=('H', 'W'),
        help=f'{meaning} (default: what the config trains at, where it says so; else 512 512)',
    )


def size_of(args: argparse.Namespace, cfg: Config) -> tuple[int, int]:
    """Height and width by :func:`add_size`."""
    return tuple(args.size) if args.size else shown_in_training(cfg) or (512, 512)


def add_memory(parser: argparse.ArgumentParser) -> None:
    """The levers on memory."""
    parser.add_argument(
        '--memory',
        nargs='+',
        metavar='LEVER',
        help='train in less memory: lowest for all that is safe, or levers by name: see docs/memory.md',
    )


def add_step_options(parser: argparse.ArgumentParser) -> None:
    """Options of the commands that measure a training step of one config under several methods."""
    add_config(parser)
    parser.add_argument(
        '--tunings',
        nargs='+',
        default=['full', 'frozen', 'partial', 'est'],
        metavar='NAME',
        help='files of configs/_base_/tunings (default: full frozen partial est); shares need "full" among them',
    )
    add_size(parser, 'image size in pixels')
    add_memory(parser)
    parser.add_argument(
        '--batch-size', type=at_least(1), default=2, metavar='N', help='images in the batch (default: 2)'
    )
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu', help='where to train (default: cpu)')
    parser.add_argument(
        '--precision',
        choices=['fp32', 'fp16', 'bf16'],
        default='fp32',
        help='of the forward pass; fp16 on CUDA alone (default: fp32)',
    )
    parser.add_argument('--out', type=file_to_write, metavar='FILE.json', help='also write all figures there')


def step_of(args: argparse.Namespace) -> tuple[Config, tuple[int, int]]:
    """The config by :func:`add_step_options`, with the levers on memory, and the size of an image: height and width."""
    cfg = open_config(args.config, backbone=args.backbone)
    if args.memory:
        cfg.memory = args.memory
    return cfg, size_of(args, cfg)
