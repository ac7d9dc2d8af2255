"""mmest: Efficient Side-Tuning for remote sensing, for MMDetection and MMSegmentation.

Importing the package registers its backbones, tuning methods, hooks and optimizer constructor in mmengine's root
registries. Neither mmdet nor mmseg is needed for that; what needs them says so when it is used.
"""

__version__ = '0.1.0'

from mmest.backbones import ESTBackbone, TunedBackbone, tuned_backbones
from mmest.engine import checkpoint_io, est_hook, optim
from mmest.forks import find_mmseg_by_its_module
from mmest.registry import TUNINGS

__all__ = ['TUNINGS', 'ESTBackbone', 'TunedBackbone', 'checkpoint_io', 'est_hook', 'optim', 'tuned_backbones']

find_mmseg_by_its_module()
