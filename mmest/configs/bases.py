"""Shipped configs as bases of others: ``_base_ = 'mmest::detection/dior/faster-rcnn'``."""

from mmengine.config import Config

from .names import find_config


def find_shipped_bases() -> None:
    """Have mmengine find bases that are named ``mmest::``, which it does for the packages of OpenMMLab alone."""
    of_mmengine = Config._get_cfg_path

    def path_and_scope(base: str, filename: str) -> tuple[str, str | None]:
        if not base.startswith('mmest::'):
            return of_mmengine(base, filename)
        found = find_config(base)
        if found.backbone or found.tuning:
            raise ValueError(
                f'"{base}" is {found.path} with another backbone or method, which a _base_ cannot name. Leave them out '
                'there, and pass --backbone and --tuning.'
            )
        return str(found.path), None

    Config._get_cfg_path = staticmethod(path_and_scope)
