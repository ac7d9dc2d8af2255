"""The backbone of a config: found by its name, and swapped, with what neck and heads take from it."""

import copy
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from mmengine.config import Config, ConfigDict

from mmest.frameworks import framework_of

from .names import available_backbones, configs_root
from .tunings import is_wrapped

_PYRAMID = 'Feature2Pyramid'
_HEADS = ('decode_head', 'auxiliary_head', 'panoptic_head', 'bbox_head', 'mask_head')
#: What a file of ``configs/_base_/backbones`` leaves at the top of a config.
_KEYS = ('backbone', 'channels', 'normalisation', 'for_mmdet', 'for_mmseg')


class Backbone(NamedTuple):
    """What a file of ``configs/_base_/backbones`` says.

    Attributes:
        config: of the backbone, with its pretrained weights.
        channels: of its maps, those of ``config.out_indices``: stages 0 to 3 have strides 4 to 32; where all have
            equal channels, all have one scale.
        normalisation: ``mean``, ``std`` and ``bgr_to_rgb`` of its weights, for the data preprocessor; or nothing.
    """

    config: ConfigDict
    channels: list[int]
    normalisation: dict

    @property
    def plain(self) -> bool:
        """Whether all maps have one scale, as those of a plain vision transformer do."""
        return len(self.channels) > 1 and len(set(self.channels)) == 1


def load_backbone(name: str, scope: str) -> Backbone:
    """A backbone by the name of its file in ``configs/_base_/backbones``.

    Args:
        name: of the file.
        scope: ``mmdet`` or ``mmseg``: some have other weights in the other.

    Raises:
        ValueError: there is none of that name.
    """
    path = configs_root() / '_base_' / 'backbones' / f'{name}.py'
    if not path.is_file():
        raise ValueError(f'There is no backbone "{name}"; choose one of {", ".join(available_backbones())}.')
    return backbone_in(Config.fromfile(path), scope)


def backbone_in(cfg: Config, scope: str) -> Backbone:
    """The backbone that a config's top-level keys describe, as its file in ``configs/_base_/backbones`` does."""
    config = ConfigDict({**copy.deepcopy(cfg.backbone), **copy.deepcopy(cfg.get(f'for_{scope}') or {})})
    return Backbone(config, list(cfg.channels), dict(cfg.get('normalisation') or {}))


def set_backbone(cfg: Config, backbone: str | Backbone) -> None:
    """Swap the backbone of a config, in place, wrapped or not; the tuning method stays.

    The new one hands over maps of the strides that the old one did; one whose maps have one scale gets a pyramid in
    front of the neck, or what the config says under ``plain``. Neck and heads take its channels, the data preprocessor
    its normalisation.

    Args:
        cfg: a config of mmdet or mmseg.
        backbone: the name of a file in ``configs/_base_/backbones``, or what it says.

    Raises:
        ValueError: there is no such backbone; the config has none to swap, or nothing is found that takes its maps; the
            new one has no map of the strides that are wanted.
    """
    model = cfg.get('model') or {}
    if not isinstance(model.get('backbone'), dict):
        raise ValueError(f'{cfg.filename or "The config"} should have a model.backbone to swap, but has none.')
    scope = framework_of(cfg).scope
    new = load_backbone(backbone, scope) if isinstance(backbone, str) else backbone
    old = model.backbone.backbone if is_wrapped(model.backbone) else model.backbone
    levels, necks = _levels(old, model), _without_pyramid(model)
    config, outs = copy.deepcopy(new.config), new.config.out_indices
    plain = dict(cfg.get('plain') or {}) if new.plain else {}
    if plain:
        taken = list(range(len(outs)))
    elif new.plain:
        taken = list(range(len(outs)))[-len(levels) :]
    else:
        taken = [i for i, level in enumerate(_stages(outs)) if level in levels]
        if framework_of(cfg).detects and (not taken or _stages(outs)[taken[0]] != min(levels)):
            raise ValueError(
                f'The model of {cfg.filename} takes maps from stride {4 * 2 ** min(levels)} on, but the backbone '
                f'{backbone if isinstance(backbone, str) else config.type} hands over strides '
                f'{", ".join(str(4 * 2**level) for level in _stages(outs))}.'
            )
        taken = taken or [len(outs) - 1]  # a segmentor scales what it gets
    config.out_indices = tuple(outs[level] for level in taken)
    channels = [new.channels[level] for level in taken]
    if plain:
        necks = copy.deepcopy(plain['neck']) or []
    elif new.plain and len(levels) > 1:
        necks = [_pyramid(levels, channels[0], scope), *necks]
    if not _take(model, necks if isinstance(necks, list) else [necks], channels, len(levels)):
        raise ValueError(
            f'Nothing is found in the model of {cfg.filename} that takes the maps of the backbone: a neck, or one of '
            f'{", ".join(_HEADS)}, with in_channels. Set model.backbone in the config instead.'
        )
    if is_wrapped(model.backbone):
        model.backbone.backbone = config
    else:
        model.backbone = config
    if 'pretrained' in model:
        model.pretrained = None
    if new.normalisation and model.get('data_preprocessor'):
        model.data_preprocessor.update(new.normalisation)
    for key in _KEYS:  # of the backbone before
        cfg.pop(key, None)


def forget_parts(cfg: Config) -> None:
    """Take out of a config what files of ``_base_/backbones`` and ``_base_/tunings`` left at its top, in place.

    It is in the model. Once the backbone is unwrapped, it would read as a wish to wrap it again.
    """
    for key in (*_KEYS, 'tuning'):
        cfg.pop(key, None)


def _levels(backbone: dict, model: dict) -> list[int]:
    """The levels that a model takes: 0 for stride 4, 1 for 8, ..."""
    necks = _as_list(model.get('neck'))
    if necks and necks[0].type.endswith(_PYRAMID):
        return [{4: 0, 2: 1, 1: 2, 0.5: 3, 0.25: 4}[scale] for scale in necks[0].rescales]
    outs = backbone.get('out_indices', (0, 1, 2, 3))
    return _stages([outs] if isinstance(outs, int) else list(outs))


def _stages(outs: Sequence[int]) -> list[int]:
    """The levels of the maps that ``out_indices`` names."""
    # Stages are numbered so in ResNet, Swin, ConvNeXt, ...; others end with stride 32 as these do.
    return list(outs) if 0 <= min(outs) <= max(outs) <= 3 else list(range(max(0, 4 - len(outs)), 4))


def _without_pyramid(model: dict) -> list[dict]:
    necks = _as_list(model.get('neck'))
    return necks[1:] if necks and necks[0].type.endswith(_PYRAMID) else necks


def _pyramid(levels: Sequence[int], channels: int, scope: str) -> dict:
    """From one scale, stride 16, to several. GroupNorm works for any batch and on any device."""
    return dict(
        type=_PYRAMID if scope == 'mmseg' else f'mmseg.{_PYRAMID}',
        embed_dim=channels,
        rescales=[[4, 2, 1, 0.5, 0.25][level] for level in levels],
        norm_cfg=dict(type='GN', num_groups=32, requires_grad=True),
    )


def _take(model: ConfigDict, necks: list[dict], channels: list[int], before: int) -> bool:
    """Set the necks of a model, and the channels of what takes the maps of the backbone; returns whether anything does.

    Args:
        model: the config of the model.
        necks: its necks, in their order.
        channels: of the maps.
        before: how many maps there were.
    """
    rest = list(necks)
    if rest and rest[0]['type'].endswith(_PYRAMID):
        rest.pop(0)['embed_dim'] = channels[0]
    if necks:
        model.neck = necks if len(necks) > 1 else necks[0]
    else:
        model.pop('neck', None)
    takers = rest[:1] or list(_heads(model))
    for taker in takers:
        _take_channels(taker, channels, before)
    return bool(takers)


def _heads(model: dict) -> Iterator[dict]:
    for name in _HEADS:
        for head in _as_list(model.get(name)):
            if 'in_channels' in head or 'in_index' in head:
                yield head


def _take_channels(part: dict, channels: list[int], before: int) -> None:
    index = part.get('in_index')
    if isinstance(index, (list, tuple)):
        if len(index) == before or max(index) >= len(channels):  # all of them, then and now
            part['in_index'] = index = list(range(len(channels)))
        part['in_channels'] = [channels[i] for i in index]
    elif isinstance(part.get('in_channels'), int):
        part['in_channels'] = channels[-1] if index is None else channels[min(index, len(channels) - 1)]
        if index is not None:
            part['in_index'] = min(index, len(channels) - 1)
    else:
        part['in_channels'] = list(channels)
    if 'c1_in_channels' in part:  # of DeepLabV3+: the first map, for the edges
        part['c1_in_channels'] = channels[0]


def _as_list(part: dict | list | None) -> list[dict]:
    return list(part) if isinstance(part, (list, tuple)) else [part] if part else []
