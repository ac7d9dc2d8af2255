"""The registry of tuning methods.

It is separate from mmengine's registries so that short names such as ``LoRA`` collide with nobody's.
"""

from mmengine.registry import Registry

TUNINGS = Registry('tuning', scope='mmest', locations=['mmest.tuning'])
