"""Options that would change nothing: names that a config uses while it is read, and that nobody reads afterwards."""

import difflib
import inspect
from collections.abc import Iterator
from typing import Any

from mmengine.config import Config
from mmengine.runner import Runner

# What is read beside the arguments of mmengine's Runner.
_READ = {
    'activation_checkpointing',
    'allow_partial_resume',
    'compile',
    'custom_imports',
    'efficient_conv_bn_eval',
    'feature_cache',
    'find_unused_parameters',
    'image_bands',
    'image_scale',
    'memory',
    'model_wrapper_cfg',
    'plain',
    'prediction_tile',
    'submission_dataloader',
    'submission_evaluator',
    'sync_bn',
    'training_scale',
    'tta_model',
    'tta_pipeline',
}
_ROOTS = {*inspect.signature(Runner.__init__).parameters, *_READ} - {'self', 'cfg'}
_SHOWN = 4


def refuse_unused(cfg: Config, options: dict[str, Any]) -> None:
    """Hold options against a config before they are set.

    A variable such as ``scale`` or ``data_root`` has done its work when the config was read: what was made of it is
    found by its value. Variables whose value stands nowhere else may be read by somebody's own code, and pass.

    Args:
        cfg: the config, not changed yet.
        options: values by dotted key.

    Raises:
        ValueError: setting one would change nothing; the keys that would are named.
    """
    for option in options:
        root, _, rest = option.partition('.')
        if root in _ROOTS:
            continue
        used = list(_uses(cfg, root))
        if not used and root in cfg:
            continue
        if used:
            keys = [f'{key}.{rest}' if rest else key for key in used]
            more = f' and {len(keys) - _SHOWN} more' if len(keys) > _SHOWN else ''
            hint = f'Set {", ".join(keys[:_SHOWN])}{more}.'
        else:
            near = difflib.get_close_matches(root, {*_ROOTS, *cfg.keys()}, n=1, cutoff=0.75)
            hint = f'Did you mean {".".join([near[0], *filter(None, [rest])])}?' if near else 'Look for its key there.'
        raise ValueError(
            f'Setting {option} changes nothing: {cfg.filename} does not use "{root}" once it is read. {hint}'
        )


def forget_variables(cfg: Config) -> None:
    """Take out of a config what had done its work when it was read, in place."""
    for name in cfg.keys() - _ROOTS:
        cfg.pop(name)


def _uses(cfg: Config, root: str) -> Iterator[str]:
    """Keys, of what is read, that got the value of a variable; of its name if it is no variable of the config."""
    value = cfg.get(root)
    for part in sorted(_ROOTS & cfg.keys(), key=lambda name: (not name.startswith('train'), name)):
        yield from _equal(cfg[part], part, root, value)


def _equal(part: Any, path: str, root: str, value: Any) -> Iterator[str]:
    last = path.rpartition('.')[2]
    if _comes_from(part, last, root, value):
        yield path
        return
    pairs = part.items() if isinstance(part, dict) else enumerate(part) if isinstance(part, (list, tuple)) else ()
    for key, inner in pairs:
        yield from _equal(inner, f'{path}.{key}', root, value)


def _comes_from(part: Any, last: str, root: str, value: Any) -> bool:
    if value is None:
        return last == root
    if isinstance(value, str) and value:
        return isinstance(part, str) and (part == value or '/' in value and part.startswith(value))
    if isinstance(value, dict) and 'type' in value and isinstance(part, dict):
        # A part of a model that a config took and changed here and there.
        same = [key for key in value if key in part and _plain(part[key]) == _plain(value[key])]
        return 'type' in same and 2 * len(same) > len(value)
    if isinstance(value, (dict, list, tuple)) and value:
        return isinstance(part, (dict, list, tuple)) and _plain(part) == _plain(value)
    return last == root and part == value


def _plain(value: Any) -> Any:
    """Lists for tuples, as options cannot tell them apart."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
