"""Options of a training on own data, without a config."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path

from mmengine.config import Config

from mmest.cli._options import above_zero, add_bands, at_least
from mmest.configs import read_config
from mmest.console import plain_console
from mmest.engine.own_training import DEFAULT_BATCH, DEFAULT_MODELS, Choices, own_config, use_weights

OPTIONS = ('model', 'bands', 'size', 'batch', 'epochs', 'iters', 'lr')


def add_own_data(parser: argparse.ArgumentParser) -> None:
    """Arguments that take the place of CONFIG."""
    group = parser.add_argument_group('own data', 'in place of CONFIG; what is left out is chosen to fit the data')
    group.add_argument('--data', type=Path, metavar='DATA', help='a folder of labelled images, or the file about it')
    defaults = ' or '.join(DEFAULT_MODELS.values())
    group.add_argument('--model', metavar='NAME', help=f'such as faster-rcnn, upernet (default: {defaults})')
    add_bands(group)
    group.add_argument('--size', type=at_least(32), metavar='N', help='side of tiles, and of what the network sees')
    group.add_argument(
        '--batch', type=_batch, metavar='N', help=f'images in a step; auto: what fits (default: {DEFAULT_BATCH})'
    )
    group.add_argument('--epochs', type=above_zero, metavar='N', help='how often each image is seen')
    group.add_argument('--iters', type=at_least(1), metavar='N', help='steps, in place of --epochs')
    group.add_argument('--lr', type=above_zero, metavar='R', help='rate of the optimizer')


def _batch(text: str) -> int | str:
    return text if text == 'auto' else at_least(1)(text)


def config_to_train(
    args: argparse.Namespace, before_writing: Callable[[Config], None] | None = None, resume: str | None = None
) -> Config:
    """The config that the arguments ask for: CONFIG with its changes, or that of a training on own data.

    Args:
        args: of the command.
        before_writing: called with the config before data is prepared in its work dir, and may refuse that.
        resume: a checkpoint that the training goes on from; empty for the newest of the work dir.

    Raises:
        FileNotFoundError: the config, data or weights are missing.
        ValueError: the arguments or the data do not fit together.
    """
    if args.data is not None:
        return _own_data_config(args, before_writing, resume)
    _check_no_own_data(args)
    cfg = read_config(args.config, args.cfg_options, args.tuning, args.backbone)
    if args.weights:
        use_weights(cfg, args.weights)
    if args.memory:
        cfg.memory = args.memory
    return cfg


def _own_data_config(
    args: argparse.Namespace, before_writing: Callable[[Config], None] | None, resume: str | None
) -> Config:
    """The config of a training on own data; what was understood and chosen is printed."""
    if args.config:
        raise ValueError(f'Either CONFIG ({args.config}) or --data ({args.data}) says what to train on; leave one out.')
    if args.epochs and args.iters:
        raise ValueError('Either --epochs or --iters says how long to train; leave one out.')
    choices = Choices(
        args.model, args.backbone, args.tuning, args.size, args.batch, args.epochs, args.iters, args.lr, args.weights,
        args.seed or 0, args.cfg_options, args.memory, args.bands,
    )  # fmt: skip
    cfg, said = own_config(args.data, choices, args.work_dir, before_writing, resume)
    if os.environ.get('LOCAL_RANK', '0') == '0':
        console = plain_console(soft_wrap=True)
        for line in said:
            console.print(f'· {line}')
    return cfg


def _check_no_own_data(args: argparse.Namespace) -> None:
    """Options for own data need data.

    Raises:
        ValueError: one is given, or there is no config either.
    """
    given = [f'--{name}' for name in OPTIONS if getattr(args, name) is not None]
    if given and args.config:
        raise ValueError(
            f'{", ".join(given)} {"go" if len(given) > 1 else "goes"} with --data DATA; with a config, pass '
            '--cfg-options KEY=VALUE.'
        )
    if not args.config:
        raise ValueError('Name a config, or your own data with --data DATA; mmest configs lists the configs.')
