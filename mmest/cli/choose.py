"""Choose the method and its rate on a part of the training images. The rest scores what was trained, so the validation
images stay unseen until the end.
"""

import argparse
import re
import shlex
import sys
from pathlib import Path

from mmengine.config import Config
from mmengine.logging import MMLogger
from rich.console import Console
from rich.markdown import Markdown

from mmest.benchmark.choice import FACTORS, candidates, choice_of, remarks, table
from mmest.benchmark.run import run_grid
from mmest.benchmark.tables.chosen import FORMS
from mmest.cli._options import Settings, above_zero, add_config, add_memory, add_trust, at_least
from mmest.cli._own_data import OPTIONS, add_own_data, config_to_train
from mmest.cli._places import folder_to_write
from mmest.cli._refusal import Refusal, refusing
from mmest.configs import head_and_backbone
from mmest.engine.launch import default_launcher
from mmest.engine.own_training import data_name
from mmest.pictures.decoders.bands import as_option

EPILOG = """\
examples:
  # EST beside the backbone, or SteeredEST, which changes it, at three rates each: six trainings
  mmest choose --data ~/Downloads/planes.v1.coco --model faster-rcnn --backbone swin-t

  # other methods, other rates, three seeds each; what is trained already is kept
  mmest choose CONFIG --tunings est lora frozen --factors 0.3 1 3 10 --seeds 3

  # whole flights held out, where neighbouring tiles look alike: patterns of names of images
  mmest choose CONFIG --held-out '*/flight3_*' '*/flight7_*'

  # on a card with room, four trainings at a time
  mmest choose CONFIG --jobs 4

Each training is one of CONFIG, or of DATA, as mmest train runs it, but without the images that are held out: by their
names a fifth, and tiles of one picture stay together. All train equally long and are scored at the end. The command
that trains the best on all images is printed. After an interruption the same command goes on.
"""

_FOLDER = Path('work_dirs', 'choose')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser, nargs='?')
    parser.add_argument(
        '--tunings',
        nargs='+',
        default=list(FORMS),
        metavar='NAME',
        help=f'methods to choose from: see mmest methods (default: {" ".join(FORMS)})',
    )
    parser.add_argument(
        '--factors',
        nargs='+',
        type=above_zero,
        default=list(FACTORS),
        metavar='F',
        help=f'on the rate of each (default: {" ".join(f"{factor:g}" for factor in FACTORS)})',
    )
    parser.add_argument('--seeds', type=at_least(1), default=1, metavar='N', help='trainings at each rate (default: 1)')
    parser.add_argument(
        '--held-out',
        nargs='+',
        default=['0.2'],
        metavar='SHARE|PATTERN',
        help='the share of the training images that scores, or patterns of their names (default: 0.2)',
    )
    parser.add_argument(
        '--jobs', type=at_least(1), default=1, metavar='N', help='trainings at a time, on all cards of the machine (1)'
    )
    parser.add_argument('--weights', type=Path, metavar='FILE', help='pretrained weights of the backbone, from a file')
    add_memory(parser)
    parser.add_argument(
        '--work-dir',
        type=folder_to_write,
        metavar='DIR',
        help='where records go (default: work_dirs/choose/NAME of the data)',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=Settings, metavar='KEY=VALUE', help='set single values of the config'
    )
    add_trust(parser)
    add_own_data(parser)


def run(args: argparse.Namespace) -> None:
    if default_launcher() != 'none':
        raise Refusal('mmest choose is not started by torchrun: its trainings are of one process each. Take --jobs N.')
    console = Console()
    MMLogger.get_current_instance().setLevel('ERROR')
    with refusing():
        held_out = _held_out(args.held_out)
        cfg = _config(args)
        folder = Path(cfg.work_dir)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f'{head_and_backbone(Path(cfg.filename).stem)}.py'
        file.write_text(cfg.pretty_text, encoding='utf-8')
        choice = choice_of(file, args.tunings, args.factors, held_out, args.seeds)
    try:
        failed = run_grid(choice.trainings, folder, folder / 'runs', console, args.jobs)
    except KeyboardInterrupt:
        sys.exit('Interrupted; the same command goes on.')
    found = candidates(choice, folder)
    console.print(Markdown(table(found).markdown()))
    if found[0].factor is not None:
        console.print(*remarks(found, args.seeds), sep='\n', markup=False, highlight=False, soft_wrap=True)
    if found[0].score > 0:
        command = _training_command(args, found[0].method, found[0].option)
        costs = shlex.join(['mmest', 'memory', str(file), '--tunings', *dict.fromkeys(['full', *args.tunings])])
        said = f'What each costs in memory:\n  {costs}\nTrain {found[0].method} on all images:\n  {command}'
        console.print(said, markup=False, highlight=False, soft_wrap=True)
    if failed:
        raise Refusal(f'Trainings that failed: {len(failed)}; their files in {folder} say why.')


def _held_out(given: list[str]) -> float | list[str]:
    if not (len(given) == 1 and re.fullmatch(r'[\d.]+', given[0])):
        return given
    share = float(given[0])
    if not 0 < share < 1:
        raise ValueError(f'--held-out takes a share between 0 and 1, or patterns of names, but it is {given[0]}.')
    return share


def _config(args: argparse.Namespace) -> Config:
    """The config that all train, under the first method, with the folder of the choice as its work dir."""
    args.tuning, args.seed = args.tunings[0], 0
    if args.data is not None and args.work_dir is None:
        args.work_dir = _FOLDER / data_name(args.data)
    cfg = config_to_train(args)
    if args.data is None:
        cfg.work_dir = str(args.work_dir or _FOLDER / Path(cfg.filename).absolute().parent.name)
    return cfg


def _training_command(args: argparse.Namespace, method: str, option: str) -> str:
    """What trains a method on all images, as the choice was asked for."""
    words = ['mmest', 'train', *([args.config] if args.config else [])]
    for name in ('data', *OPTIONS, 'backbone', 'weights'):
        if getattr(args, name) is not None:
            value = getattr(args, name)
            words += [f'--{name}', as_option(value) if name == 'bands' else str(value)]
    words += ['--memory', *args.memory] if args.memory else []
    options = [f'{key}={value}'.replace(' ', '') for key, value in (args.cfg_options or {}).items()]
    options += [option] * bool(option)
    return shlex.join([*words, '--tuning', method, *(['--cfg-options', *options] if options else [])])
