"""The config of a training as one for plain mmdet or mmseg."""

import copy
import os
from inspect import isroutine
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log
from mmengine.registry import DATASETS

from mmest.config_parts import first_dataset, parts_of
from mmest.configs import forget_parts
from mmest.pictures.decoders.bands import check_choice
from mmest.pictures.levels import in_words

# What mmest alone knows, or what is of one run.
_OURS = ('load_from', 'resume', 'memory', 'feature_cache', 'submission_dataloader', 'submission_evaluator')
_LOOPS = ('train_cfg', 'val_cfg', 'test_cfg', 'val_evaluator', 'test_evaluator', 'optim_wrapper', 'param_scheduler')
# Arguments that data sets of mmest set for the class that they derive from.
_SET = ('img_suffix', 'seg_map_suffix', 'reduce_zero_label')


def plain_config(cfg: Config) -> Config:
    """A config without mmest, for mmdet or mmseg alone: the backbone as it is by itself, no pretrained file, an
    optimizer that mmengine constructs, and data sets of theirs. DOTA's patches are scored as images, by COCO's AP.

    Where labels are read as none of their data sets reads them, loops, optimizer and metrics are left out, for scores
    would be others; the config then opens a model for prediction. That, and levels and bands of images, which they
    do not know, is said.
    """
    plain = copy.deepcopy(cfg)
    forget_parts(plain)
    plain.model = _unwrap(plain.model)
    _use_plain_optimizer(plain)
    hooks = [hook for hook in plain.get('custom_hooks') or [] if hook.get('type') != 'ESTHook']
    imports = plain.get('custom_imports') or {}
    left = [name for name in imports.get('imports', []) if name.partition('.')[0] != 'mmest']
    for name in ('custom_hooks', 'custom_imports', *_OURS):
        plain.pop(name, None)
    if hooks:
        plain.custom_hooks = hooks
    if left:
        plain.custom_imports = dict(imports, imports=left)
    _use_plain_data(plain)
    done = []
    if plain.get('image_scale'):
        done.append(f'values of {in_words(plain.image_scale)} in images became 0 to 255')
    if bands := check_choice(plain.get('image_bands')):
        became = 'red, green and blue' if len(bands) == 3 else 'grey'
        done.append(f'band{"s" * (len(bands) > 1)} {", ".join(map(str, bands))} of images became {became}')
    if done:
        print_log(
            f'In training, {" and ".join(done)}. Plain mmdet and mmseg do not do that: give them images in which it is '
            'done.',
            logger='current',
            level=30,
        )
    return plain


def _unwrap(part: Any) -> Any:
    if isinstance(part, dict):
        if part.get('type') in ('TunedBackbone', 'ESTBackbone'):
            return ConfigDict(part['backbone'], init_cfg=None)
        return ConfigDict({key: _unwrap(value) for key, value in part.items()})
    return [_unwrap(value) for value in part] if isinstance(part, list) else part


def _use_plain_optimizer(plain: Config) -> None:
    """Without an optimizer mmengine's runner takes no training loader either, and so tests nothing."""
    optim_wrapper = plain.get('optim_wrapper') or {}
    if optim_wrapper.get('constructor') == 'TrainableOptimWrapperConstructor':
        optim_wrapper.pop('constructor')
    if optim_wrapper.get('type') == 'Bfloat16OptimWrapper':
        optim_wrapper.update(type='AmpOptimWrapper', dtype='bfloat16')
    if (plain.get('model_wrapper_cfg') or {}).get('type') == 'TunedDataParallel':
        plain.pop('model_wrapper_cfg')


def _use_plain_data(plain: Config) -> None:
    # Of variables too, from which loaders were made.
    parts = [part for _, part in parts_of(plain, without=['model', 'pipeline'])]
    read_otherwise = sorted({kind for part in parts if (kind := _name_what_is_not_ours(part))})
    if read_otherwise:
        for name in _LOOPS:
            plain.pop(name, None)
        print_log(
            'The config inside predicts, and neither trains nor tests: no data set of plain mmdet or mmseg reads '
            f'labels as {" and ".join(read_otherwise)} does.',
            logger='current',
            level=30,
        )
    for name in [name for name, value in plain.items() if name.endswith('_evaluator') and value]:
        data = first_dataset(plain.get(name.replace('_evaluator', '_dataloader')))
        for _, part in parts_of(plain[name]):
            if part.get('type') == 'DOTABoxMetric' and data:
                file = os.path.join(data.get('data_root') or '', data['ann_file'])
                part.clear()
                part.update(type='CocoMetric', ann_file=file, metric='bbox')


def _name_what_is_not_ours(part: dict) -> str | None:
    """Have the config of a data set of mmest's name the class that it derives from, with its classes and files, in
    place.

    Returns:
        The name that it had, if that class reads labels otherwise.
    """
    kind = DATASETS.get(part['type']) if isinstance(part.get('type'), str) else None
    own = [one for one in kind.__mro__ if one.__module__.startswith('mmest.')] if kind is not None else []
    if not own:
        return None
    arguments = {name: value for name, value in part.items() if name not in ('type', 'pipeline', 'lazy_init')}
    built = kind(**arguments, pipeline=[], lazy_init=True)
    base = next(one for one in kind.__mro__ if one not in own)
    metainfo = {name: built.metainfo[name] for name in ('classes', 'palette') if name in built.metainfo}
    part.update(type=base.__name__, metainfo={**(part.get('metainfo') or {}), **metainfo})
    part.update({name: getattr(built, name) for name in _SET if hasattr(built, name)})
    # Which numbers of masks are which classes follows from a class; its arguments cannot say it.
    methods = {name for one in own for name, value in vars(one).items() if isroutine(value)}
    reads = methods - {'__init__', 'get_label_map'} or getattr(built, 'label_map', None)
    return kind.__name__ if reads else None
