"""Images as a config has them read."""

from typing import Any

from mmengine.config import Config

from mmest.frameworks import framework_of
from mmest.pictures.reading import reading_of
from mmest.pictures.transforms import use_reader


def use_reader_of(cfg: Config, loader: Any) -> None:
    """Have a loader, a part of one or several of them read images as a config states, in place; see
    :func:`mmest.pictures.transforms.use_reader`.
    """
    use_reader(loader, not framework_of(cfg).detects, **reading_of(cfg))
