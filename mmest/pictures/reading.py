"""How a config has images read."""

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict


class Reading(TypedDict, total=False):
    """Arguments of :class:`mmest.pictures.ImageFile`."""

    scale: Sequence[float] | None
    bands: Sequence[int] | None


def reading_of(cfg: Mapping[str, Any]) -> Reading:
    """What ``image_scale`` and ``image_bands`` say."""
    return Reading(scale=cfg.get('image_scale'), bands=cfg.get('image_bands'))
