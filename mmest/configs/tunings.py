"""The tuning method of a config: found by its name, and swapped."""

import logging

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from mmest.registry import TUNINGS

from .names import available_tunings, configs_root

_WRAPPERS = ('TunedBackbone', 'ESTBackbone')
# What the wrapper is told beside the backbone and the method.
_KEPT = ('allow_random', 'frozen_dtype', 'saved_dtype', 'compile')
_OWN_CONSTRUCTOR = 'TrainableOptimWrapperConstructor'
# Of mmdet and mmseg, for BEiT, MAE and ConvNeXt, which they know by the class of the backbone: it is the wrapper's now.
_BY_CLASS = ('LearningRateDecayOptimizerConstructor', 'LayerDecayOptimizerConstructor')


def load_tuning(name: str) -> ConfigDict:
    """The config of a tuning method by the name of its file in ``configs/_base_/tunings``; of a method of somebody's
    own by that of its class, with its defaults, once what registers it is imported.

    Raises:
        ValueError: there is none of that name.
    """
    path = configs_root() / '_base_' / 'tunings' / f'{name}.py'
    if path.is_file():
        return Config.fromfile(path).tuning
    if name not in own_methods():
        raise ValueError(
            f'There is no tuning method "{name}"; choose one of {", ".join(available_tunings())}, or the class of a '
            'method of yours in a module that the config names in custom_imports.'
        )
    return ConfigDict(type=name)


def own_methods() -> list[str]:
    """Classes of methods that others than mmest, whose have files with their rates, have registered."""
    return sorted(name for name, own in TUNINGS.module_dict.items() if not own.__module__.startswith('mmest.'))


def set_tuning(cfg: Config, tuning: str | dict) -> None:
    """Swap the tuning method of a config, in place. A backbone that is not wrapped becomes a TunedBackbone, and its
    training that of what is tuned alone.

    Args:
        cfg: a config of mmdet or mmseg.
        tuning: the method: the name of a file in ``configs/_base_/tunings``, or its config.

    Raises:
        ValueError: there is no such method; the config has no backbone.
    """
    outer = tuned_backbone_of(cfg)
    method = ConfigDict(load_tuning(tuning) if isinstance(tuning, str) else tuning)
    if not is_wrapped(cfg.model.backbone):
        _train_what_is_tuned(cfg, outer['backbone'], method)
        _hand_over_what_is_used(cfg.model, outer['backbone'])
    more = {key: outer[key] for key in _KEPT if outer.get(key)}
    cfg.model.backbone = ConfigDict(type='TunedBackbone', backbone=outer['backbone'], tuning=method, **more)
    cfg.pop('tuning', None)  # of the method before


def use_rates_of_wrapped(cfg: Config) -> None:
    """Have the rates of a config that is wrapped already fall as :func:`set_tuning` has them, in place: constructors
    that know backbones by their class do not know the wrapper.
    """
    outer, optim_wrapper = (cfg.get('model') or {}).get('backbone'), cfg.get('optim_wrapper')
    if isinstance(outer, dict) and is_wrapped(outer) and outer.get('backbone') and _goes_by_class(optim_wrapper):
        _use_own_constructor(optim_wrapper, outer['backbone'], outer.get('tuning') or ConfigDict(type='EST'))


def _goes_by_class(optim_wrapper: dict | None) -> bool:
    return str((optim_wrapper or {}).get('constructor')).rpartition('.')[2] in _BY_CLASS


def is_wrapped(backbone: dict) -> bool:
    """Whether the config of a backbone is that of a wrapper whose method can be chosen."""
    return backbone.get('type') in _WRAPPERS


def tuned_backbone_of(cfg: Config) -> dict:
    """The config of the wrapper of a config's backbone, made where the backbone has none.

    Raises:
        ValueError: there is no backbone.
    """
    model = cfg.get('model') or {}
    backbone = model.get('backbone')
    if not isinstance(backbone, dict):
        raise ValueError(
            f'{cfg.filename or "The config"} should have a model.backbone to tune, but has '
            f'{", ".join(model) or "no model"}.'
        )
    if is_wrapped(backbone):
        return backbone
    inner = ConfigDict(backbone)
    if model.get('pretrained'):  # mmseg's older way to name the weights
        inner.init_cfg = dict(type='Pretrained', checkpoint=model.pretrained)
    return ConfigDict(type='TunedBackbone', backbone=inner)


def _train_what_is_tuned(cfg: Config, backbone: ConfigDict, method: ConfigDict) -> None:
    """What shipped configs take from ``_base_/default_runtime.py`` and their schedule, for a config of others."""
    if cfg.model.get('pretrained'):
        cfg.model.pretrained = None
    imports = (cfg.get('custom_imports') or {}).get('imports') or []
    imports = [imports] if isinstance(imports, str) else list(imports)
    if not any(name.partition('.')[0] == 'mmest' for name in imports):
        cfg.custom_imports = dict(imports=[*imports, 'mmest'], allow_failed_imports=False)
    hooks = list(cfg.get('custom_hooks') or [])
    if not any(hook.get('type') == 'ESTHook' for hook in hooks):
        cfg.custom_hooks = [*hooks, dict(type='ESTHook')]
    if cfg.get('optim_wrapper'):
        if _goes_by_class(cfg.optim_wrapper):
            _use_own_constructor(cfg.optim_wrapper, backbone, method)
        cfg.optim_wrapper.setdefault('constructor', _OWN_CONSTRUCTOR)


def _use_own_constructor(optim_wrapper: ConfigDict, backbone: ConfigDict, method: ConfigDict) -> None:
    """Rates that fall from layer to layer become those of full fine-tuning; other methods train no layers. Vectors do
    not decay, as with the constructor that was.
    """
    options = dict(optim_wrapper.pop('paramwise_cfg', None) or {})
    asked = {key: options.pop(key, None) for key in ('layer_decay_rate', 'decay_rate', 'decay_type', 'num_layers')}
    rate = asked['layer_decay_rate'] or asked['decay_rate'] or 1.0
    by_block = 'ConvNeXt' not in backbone.type and asked['decay_type'] != 'stage_wise'  # there in groups of blocks
    optim_wrapper.update(constructor=_OWN_CONSTRUCTOR, paramwise_cfg=dict(norm_decay_mult=0.0, bias_decay_mult=0.0))
    optim_wrapper.paramwise_cfg.update(options)
    if method.type != 'Full':
        return
    if by_block:
        method.setdefault('layer_decay', rate)
    else:
        print_log(
            f'{method.type} trains all layers at one rate: that the config lets rates fall by {rate:g} from stage to '
            'stage is left out. model.backbone.tuning.layer_decay lets them fall from block to block.',
            logger='current',
            level=logging.WARNING,
        )


def _hand_over_what_is_used(model: dict, backbone: dict) -> None:
    """Have the backbone leave out the first maps where the neck passes over them (``start_level``): what a method
    trains for them would get no gradient, which stops training on several GPUs.
    """
    necks = model.get('neck')
    neck = necks[0] if isinstance(necks, (list, tuple)) else necks or {}
    start, channels, outs = neck.get('start_level', 0), neck.get('in_channels'), backbone.get('out_indices', ())
    if start > 0 and isinstance(channels, (list, tuple)) and len(channels) == len(outs):
        neck.update(start_level=0, in_channels=list(channels[start:]))
        backbone['out_indices'] = tuple(outs[start:])
