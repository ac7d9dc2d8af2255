"""Settings that a resumed training keeps from its checkpoint, whatever the config says, are said."""

from typing import Any

from mmengine.runner import Runner

from mmest.checkpoints.files import to_plain
from mmest.engine.optim import WAYS

# Of a schedule: what changes with every step, and the rates that it begins from, which the optimizer has too.
_MOVING = {'last_step', '_global_step', '_last_value', 'best', 'num_bad_epochs', 'cooldown_counter', 'verbose'}
_OF_OPTIMIZER = {'base_values'}
_SHOWN = 3


def say_kept_settings(runner: Runner, checkpoint: dict) -> None:
    """Warn where the optimizer or the schedule of a checkpoint that a runner is about to resume from has other settings
    than that of the config: mmengine and torch restore them with the state.
    """
    if not runner._resume:
        return
    kept = list(dict.fromkeys([*_of_optimizer(runner, checkpoint), *_of_schedules(runner, checkpoint)]))
    if kept:
        more = f' and {len(kept) - _SHOWN} more' if len(kept) > _SHOWN else ''
        runner.logger.warning(
            f'The checkpoint was trained by other settings than those of the config: {"; ".join(kept[:_SHOWN])}{more}. '
            'A resumed training keeps those of the checkpoint, beyond the end of its schedule too. To train by those '
            'of the config, start from the weights: --cfg-options load_from=FILE, without --resume.'
        )


def _of_optimizer(runner: Runner, checkpoint: dict) -> list[str]:
    groups = (checkpoint.get('optimizer') or {}).get('param_groups', [])
    return [
        said
        for here, there in zip(runner.optim_wrapper.optimizer.param_groups, groups)
        for said in _differences('', _at_start(here), _at_start(there))
    ]


def _at_start(group: dict) -> dict[str, Any]:
    """The settings of a group of parameters; of what a schedule moves, the value that it begins from."""
    names = [name for name in group if name not in ('params', *WAYS) and not name.startswith('initial_')]
    return {name: to_plain(group.get(f'initial_{name}', group[name])) for name in names}


def _of_schedules(runner: Runner, checkpoint: dict) -> list[str]:
    here, there = runner.param_schedulers, checkpoint.get('param_schedulers')
    if not isinstance(here, list) or not isinstance(there, list) or not there:
        return []
    if len(here) != len(there):
        return [f'schedules: {len(there)}, not {len(here)}']
    kept = []
    for mine, state in zip(here, there):
        name, fixed, stored = type(mine).__name__, _fixed(mine.state_dict()), _fixed(state)
        same_kind = fixed.keys() == stored.keys()
        kept += _differences(f'{name} ', fixed, stored) if same_kind else [f'a schedule other than {name}']
    return kept


def _fixed(state: dict) -> dict[str, Any]:
    return to_plain({name: value for name, value in state.items() if name not in _MOVING | _OF_OPTIMIZER})


def _differences(of: str, here: dict, there: dict) -> list[str]:
    return [
        f'{of}{name} {there[name]}, not {value}'
        for name, value in here.items()
        if name in there and there[name] != value
    ]
