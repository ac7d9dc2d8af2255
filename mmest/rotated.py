"""mmrotate for oriented boxes. Importing the module registers its models, transforms and metrics."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType


@contextmanager
def torchvision_or_less() -> Iterator[None]:
    """Mmrotate imports torchvision for one detector, H2RBox-v2. Where torchvision is missing, or was built for another
    torch, that detector alone goes without.
    """
    try:
        import torchvision  # noqa: F401

        missing = False
    except (ImportError, RuntimeError):
        missing = True
        for name in [name for name in sys.modules if name.partition('.')[0] == 'torchvision']:  # what a broken one left
            del sys.modules[name]
        sys.modules['torchvision'] = package = ModuleType('torchvision')
        sys.modules['torchvision.transforms'] = package.transforms = ModuleType('torchvision.transforms')
    try:
        yield
    finally:
        if missing:
            del sys.modules['torchvision'], sys.modules['torchvision.transforms']


try:
    with torchvision_or_less():
        import mmrotate.datasets
        import mmrotate.evaluation
        import mmrotate.models
        import mmrotate.visualization  # noqa: F401
except ImportError as error:
    raise ImportError(
        f'Oriented boxes need mmrotate 1.x, which cannot be imported ({error}). Install it: make setup '
        'STACK=onedl, or pip install onedl-mmrotate onedl-mmdetection onedl-mmcv onedl-mmengine'
    ) from error
