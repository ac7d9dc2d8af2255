"""What mmest needs of OpenMMLab's maintained forks (onedl-*), which keep the import names and not the distributions' names."""
import importlib.util
from importlib.metadata import PackageNotFoundError, version

from mmengine.config.utils import MODULE2PACKAGE


def find_mmseg_by_its_module() -> None:
    """Have configs that inherit from ``mmseg::`` find it: mmengine, the fork of it too, asks for the distribution "mmsegmentation",
    while the fork of mmseg is named otherwise. mmdet needs nothing, as module and distribution have one name."""
    try:
        version('mmsegmentation')
    except PackageNotFoundError:
        if importlib.util.find_spec('mmseg'):
            MODULE2PACKAGE['mmseg'] = 'mmseg'
