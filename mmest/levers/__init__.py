"""Levers on memory: each a way to train in less, one file each, off unless ``memory`` in the config names it.

``memory='lowest'`` turns on all that are safe and suit the method and the model; a list names them one by one.
"""

from .switch import LOWEST, configure, levers, named, put_on

__all__ = ['LOWEST', 'configure', 'levers', 'named', 'put_on']
