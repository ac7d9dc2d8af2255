"""The libraries whose backbones are tried, and how each builds one from a name and arguments."""

import importlib
import importlib.util
from collections.abc import Callable
from typing import NamedTuple

from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from torch import nn


class Library(NamedTuple):
    """Name of its package, and what builds a backbone of a name and arguments, with random weights."""

    package: str
    build: Callable[..., nn.Module]

    @property
    def installed(self) -> bool:
        return importlib.util.find_spec(self.package) is not None

    @property
    def version(self) -> str:
        return importlib.import_module(self.package).__version__


def _openmmlab(scope: str) -> Callable[..., nn.Module]:
    def build(kind: str, **arguments) -> nn.Module:
        importlib.import_module(f'{scope}.models')  # registers them
        return MODELS.build(ConfigDict(type=f'{scope}.{kind}', **arguments))

    return build


def _timm(name: str, **arguments) -> nn.Module:
    return importlib.import_module('timm').create_model(name, features_only=True, **arguments)


def _transformers(kind: str, **arguments) -> nn.Module:
    library = importlib.import_module('transformers')
    return getattr(library, f'{kind}Backbone')(getattr(library, f'{kind}Config')(**arguments))


def _segmentation_models(name: str, **arguments) -> nn.Module:
    library = importlib.import_module('segmentation_models_pytorch')
    return library.encoders.get_encoder(name, weights=None, **arguments)


LIBRARIES = {
    library.package: library
    for library in (
        Library('mmdet', _openmmlab('mmdet')),
        Library('mmseg', _openmmlab('mmseg')),
        Library('timm', _timm),
        Library('transformers', _transformers),
        Library('segmentation_models_pytorch', _segmentation_models),
    )
}
