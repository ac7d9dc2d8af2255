"""From a delta checkpoint to an ordinary one."""

import copy
import os
from pathlib import Path
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.registry import DATASETS, MODELS, init_default_scope
from mmengine.runner.checkpoint import load_state_dict
from torch import Tensor

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.checkpoints.delta import strip_frozen
from mmest.checkpoints.files import save_file
from mmest.checkpoints.pretrained import pretrained_source
from mmest.checkpoints.safe import load_file
from mmest.config_parts import first_dataset, parts_of
from mmest.configs import config_of, explain_build_errors, forget_parts


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


def plain_config(cfg: Config) -> Config:
    """A config without mmest, for mmdet or mmseg alone: the backbone as it is by itself, no pretrained file, and data
    sets of theirs where mmest's differ by the names of the classes alone. The optimizer goes, whose constructor is
    mmest's, and what only ``mmest test --submission`` reads. DOTA's patches are scored as images, by COCO's AP.
    """
    plain = copy.deepcopy(cfg)
    forget_parts(plain)

    def unwrap(part: Any) -> Any:
        if isinstance(part, dict):
            if part.get('type') in ('TunedBackbone', 'ESTBackbone'):
                return ConfigDict(part['backbone'], init_cfg=None)
            return ConfigDict({key: unwrap(value) for key, value in part.items()})
        return [unwrap(value) for value in part] if isinstance(part, list) else part

    plain.model = unwrap(plain.model)
    for loader in [value for name, value in plain.items() if name.endswith('_dataloader') and value]:
        for _, part in parts_of(loader.get('dataset'), without=['pipeline']):
            _name_what_is_not_ours(part)
    for name in [name for name, value in plain.items() if name.endswith('_evaluator') and value]:
        data = first_dataset(plain.get(name.replace('_evaluator', '_dataloader')))
        for _, part in parts_of(plain[name]):
            if part.get('type') == 'DOTABoxMetric' and not part.get('oriented') and data:
                file = os.path.join(data.get('data_root') or '', data['ann_file'])
                part.clear()
                part.update(type='CocoMetric', ann_file=file, metric='bbox')
    hooks = [hook for hook in plain.get('custom_hooks') or [] if hook.get('type') != 'ESTHook']
    imports = plain.get('custom_imports') or {}
    left = [name for name in imports.get('imports', []) if name.partition('.')[0] != 'mmest']
    of_ours = ('load_from', 'resume', 'memory', 'submission_dataloader', 'submission_evaluator')
    for name in ('optim_wrapper', 'custom_hooks', 'custom_imports', *of_ours):
        plain.pop(name, None)
    if hooks:
        plain.custom_hooks = hooks
    if left:
        plain.custom_imports = dict(imports, imports=left)
    return plain


def _name_what_is_not_ours(part: dict) -> None:
    """Have the config of a data set of mmest's name the class that it derives from, with its classes, in place."""
    kind = DATASETS.get(part['type']) if isinstance(part.get('type'), str) else None
    own = [one for one in kind.__mro__ if one.__module__.startswith('mmest.')] if kind is not None else []
    added = {name for one in own for name in vars(one) if name == '__init__' or not name.startswith('__')}
    if added == {'METAINFO'}:
        base = next(one for one in kind.__mro__ if one not in own)
        part.update(type=base.__name__, metainfo={**kind.METAINFO, **(part.get('metainfo') or {})})


def _refuse_to_overwrite(out: Path, *sources: str | Path | None) -> None:
    for source in sources:
        if source is not None and Path(source).resolve() == out.resolve():
            raise ValueError(f'The result would overwrite its source {source}; name another file.')
