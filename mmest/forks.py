"""What mmest needs of OpenMMLab's maintained forks (onedl-*), which keep the import names and not the distributions'
names.
"""

import importlib.util
from importlib.metadata import PackageNotFoundError, version

from mmengine.config.utils import MODULE2PACKAGE
from mmengine.runner import BaseLoop


def find_mmseg_by_its_module() -> None:
    """Have configs that inherit from ``mmseg::`` find it: mmengine, the fork of it too, asks for the distribution
    "mmsegmentation", while the fork of mmseg is named otherwise. mmdet needs nothing, as module and distribution have
    one name.
    """
    try:
        version('mmsegmentation')
    except PackageNotFoundError:
        if importlib.util.find_spec('mmseg'):
            MODULE2PACKAGE['mmseg'] = 'mmseg'


def replay_when_resuming(loop: BaseLoop) -> None:
    """Have a loop by iterations load the data that was trained on before, as mmengine's does: its fork skips the data,
    and with it the random numbers that its augmentation drew, so that a resumed training would see other pictures.
    """
    iterator = getattr(loop, 'dataloader_iterator', None)
    if hasattr(iterator, 'skip_iter'):

        def replay(steps: int) -> None:
            for _ in range(steps):
                next(iterator)

        iterator.skip_iter = replay
