"""The packages that ONNX takes, which mmest itself does not."""

import importlib
from types import ModuleType


def onnxruntime() -> ModuleType:
    """The package that runs graphs.

    Raises:
        ValueError: it is not installed.
    """
    return _installed('onnxruntime')


def onnx() -> ModuleType:
    """The package that writes them, with what torch's exporter needs.

    Raises:
        ValueError: it is not installed.
    """
    _installed('onnxscript')
    return _installed('onnx')


def _installed(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f'ONNX graphs need {name}, which is not installed: pip install onnx onnxruntime onnxscript'
        ) from error
