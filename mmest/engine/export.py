"""From a delta checkpoint to an ordinary one."""
from pathlib import Path
from typing import Dict, Optional

from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from mmengine.runner.checkpoint import CheckpointLoader, load_state_dict, save_checkpoint
from torch import Tensor, nn

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.engine.launch import import_framework


def export(delta: Path, out: Path, config: Optional[Path] = None) -> Dict[str, Tensor]:
    """Join a delta checkpoint and the pretrained weights of its backbone to one checkpoint.

    The keys of methods without modules of their own (Full, Frozen, Partial) become those of the plain model
    (``backbone.x``), which loads in mmdet or mmseg without mmest; of others they stay those of the wrapped one, and the
    checkpoint needs no pretrained file any more.

    Args:
        delta: what training wrote.
        out: the file to write; it has the weights and the ``meta`` of the delta, no optimizer state.
        config: the config it was trained with (default: the copy inside the checkpoint).

    Returns:
        The state dict that was written.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the delta is damaged or belongs to another backbone; ``out`` is the delta itself; no config is known.
    """
    if out.resolve() == delta.resolve():
        raise ValueError(f'The result would overwrite its source {delta}; name another file.')
    checkpoint = CheckpointLoader.load_checkpoint(str(delta), map_location='cpu')
    model = _build(checkpoint, config, delta)
    load_state_dict(model, checkpoint['state_dict'], strict=True)
    state = model.state_dict()
    for path, tuned in tuned_backbones(model):
        if not list(tuned.method.state_dict()):
            prefix = f'{path}.' if path else ''
            inner = f'{prefix}backbone.'
            state = {prefix + key[len(inner):] if key.startswith(inner) else key: value for key, value in state.items()}
    save_checkpoint(dict(meta=checkpoint.get('meta', {}), state_dict=state), str(out))  # atomic: see checkpoint_io
    return state


def _build(checkpoint: dict, config: Optional[Path], delta: Path) -> nn.Module:
    if config is not None:
        if not config.is_file():
            raise FileNotFoundError(f'There is no config "{config}".')
        cfg = Config.fromfile(config)
    elif 'cfg' in checkpoint.get('meta', {}):
        cfg = Config.fromstring(checkpoint['meta']['cfg'], file_format='.py')
    else:
        raise ValueError(f'{delta} has no config inside; name the one that it was trained with by --config.')
    import_framework(cfg)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    return MODELS.build(cfg.model)
