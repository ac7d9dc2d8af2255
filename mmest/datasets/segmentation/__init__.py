"""Segmentation data sets and metrics that mmseg lacks: importing the package registers what is in its files."""

import importlib
import pkgutil

for _module in pkgutil.iter_modules(__path__, f'{__name__}.'):
    importlib.import_module(_module.name)
