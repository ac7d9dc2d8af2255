"""From a delta checkpoint to an ordinary one."""

from pathlib import Path

from mmengine.registry import MODELS, init_default_scope
from mmengine.runner.checkpoint import load_state_dict
from torch import Tensor

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.checkpoints.delta import strip_frozen
from mmest.checkpoints.files import save_file
from mmest.checkpoints.pretrained import pretrained_source
from mmest.checkpoints.safe import load_file
from mmest.configs import config_of, explain_build_errors
from mmest.engine.plain_config import plain_config


def export(delta: Path, out: Path, config: Path | None = None, merge: bool = False) -> dict[str, Tensor]:
    """Join a delta checkpoint and the pretrained weights of its backbone to one checkpoint.

    The keys of methods without modules of their own (such as Full and BitFit) become those of the plain model
    (``backbone.x``), which loads in mmdet or mmseg without mmest, and so does the config that is written into it; of
    others they stay those of the wrapped one, and the checkpoint needs no pretrained file any more.

    Args:
        delta: what training wrote.
        out: the file to write; it has the weights and the ``meta`` of the delta, no optimizer state.
        config: the config it was trained with (default: the copy inside the checkpoint).
        merge: fold what the method added (LoRA, SSF) into the backbone's own weights, so that the result loads in plain
            mmdet or mmseg too.

    Returns:
        The state dict that was written.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the delta is no checkpoint of a training, is damaged or belongs to another backbone; ``out`` is the
            delta, the config, the pretrained file or a folder; no config is known, or it cannot be read or
            built; the method cannot be merged.
    """
    if out.is_dir():
        raise ValueError(f'{out} is a folder; name the file to write, such as {out / "model.pth"}.')
    _refuse_to_overwrite(out, delta, config)
    checkpoint = load_file(delta)
    if not isinstance(checkpoint, dict) or 'state_dict' not in checkpoint:
        raise ValueError(
            f'{delta} has no state_dict: it is not a checkpoint that training wrote. Name one of work_dirs/.'
        )
    cfg = config_of(checkpoint, config, delta)
    init_default_scope(cfg.get('default_scope', 'mmengine'))
    with explain_build_errors(cfg):
        model = MODELS.build(cfg.model)
    for _, tuned in tuned_backbones(model):
        tuned.use_precision_of_file()
    _refuse_to_overwrite(out, *(pretrained_source(tuned.backbone) for _, tuned in tuned_backbones(model)))
    load_state_dict(model, checkpoint['state_dict'], strict=True)
    if merge:
        for _, tuned in tuned_backbones(model):
            tuned.method.merge(tuned.backbone)
    state = model.state_dict()
    plain = [merge or not list(tuned.method.state_dict()) for _, tuned in tuned_backbones(model)]
    for (path, _), is_plain in zip(tuned_backbones(model), plain):
        if is_plain:
            prefix = f'{path}.' if path else ''
            inner = f'{prefix}backbone.'
            state = {
                prefix + key[len(inner) :] if key.startswith(inner) else key: value
                for key, value in state.items()
                if not key.startswith(f'{prefix}method.')
            }
    wrapped = [one for one, is_plain in zip(tuned_backbones(model), plain) if not is_plain]
    # As a delta that leaves nothing out, it says by which method with which arguments it computes.
    strip_frozen(wrapped, dict(state_dict=state), {path: {} for path, _ in wrapped})
    meta = dict(checkpoint.get('meta', {}), cfg=(plain_config(cfg) if all(plain) else cfg).pretty_text)
    save_file(dict(meta=meta, state_dict=state), out)
    return state


def _refuse_to_overwrite(out: Path, *sources: str | Path | None) -> None:
    for source in sources:
        if source is not None and Path(source).resolve() == out.resolve():
            raise ValueError(f'The result would overwrite its source {source}; name another file.')
