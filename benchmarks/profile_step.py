"""Profile a training step of several methods, by part of the model and by kind of operation, and write it as JSON.

    python benchmarks/profile_step.py detection/custom/faster-rcnn --tunings frozen est --out profile.json

Models start from random weights and images are synthetic: no data set, nothing downloaded.
"""

import argparse

from mmengine.logging import MMLogger
from rich.console import Console
from rich.table import Table

from mmest.cli._options import add_step_options, at_least, step_of
from mmest.configs import load_tuning, tuned_backbone_of
from mmest.files import write_json
from mmest.measure.environment import commit, environment
from mmest.measure.profile import profile_step
from mmest.measure.ready import prepare
from mmest.measure.synthetic_batch import synthetic_batch


def main(arguments: list[str] | None = None) -> None:
    """Profile what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_step_options(parser)
    parser.add_argument('--compile', action='store_true', help='compile the frozen part (TunedBackbone.compile)')
    parser.add_argument('--steps', type=at_least(1), default=3, metavar='N', help='steps of each method (default: 3)')
    args = parser.parse_args(arguments)
    MMLogger.get_current_instance().setLevel('ERROR')
    cfg, size = step_of(args)
    if args.compile:
        tuned_backbone_of(cfg).compile = True
    profiles = {}
    for name in args.tunings:
        model, optim_wrapper = prepare(cfg, load_tuning(name), size, args.device, args.precision)
        batch = synthetic_batch(model, size, args.batch_size)
        profiles[name] = profile_step(model.train(), optim_wrapper, batch, args.steps)
        Console().print(_table(name, profiles[name]))
    if args.out:
        write_json(
            args.out,
            dict(
                config=args.config,
                backbone=args.backbone,
                size=list(size),
                batch_size=args.batch_size,
                device=args.device,
                precision=args.precision,
                compile=args.compile,
                memory=args.memory or [],
                commit=commit(),
                profiles=profiles,
                **environment(args.device),
            ),
        )


def _table(name: str, found: dict) -> Table:
    table = Table('part', 'ms', 'operations', 'most of it', title=f'{name}: a step of {found["seconds"]:.3f} s')
    for part, one in found['parts'].items():
        first = [f'{kind} {1e3 * each["seconds"]:.1f} ({each["operations"]})' for kind, each in one['kinds'].items()]
        table.add_row(part, f'{1e3 * one["seconds"]:.1f}', str(one['operations']), ', '.join(first[:4]))
    return table


if __name__ == '__main__':
    main()
