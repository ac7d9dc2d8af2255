"""mmest: Efficient Side-Tuning for remote sensing, for MMDetection and MMSegmentation.

Importing the package registers its backbones, tuning methods, hooks and optimizer constructor in mmengine's root
registries. Neither mmdet nor mmseg is needed for that; what needs them says so when it is used.
"""

import mmest.engine.optim
import mmest.pictures.transforms  # noqa: F401 -- these register themselves
from mmest.backbones import ESTBackbone, SharedBackbone, TunedBackbone, tuned_backbones
from mmest.backbones.tuned_module import tune
from mmest.configs.bases import find_shipped_bases
from mmest.engine.deltas import load_delta, save_delta, trainable_parameters
from mmest.engine.est_hook import ESTHook
from mmest.engine.fleet import Fleet
from mmest.frameworks import find_mmseg_by_its_module
from mmest.measure.memory import measure_training_step
from mmest.registry import TUNINGS
from mmest.tuning.base import TuningMethod
from mmest.tuning.insertion import InsertedMethod
from mmest.tuning.side.network import SideNetwork
from mmest.version import __version__

__all__ = [
    'TUNINGS',
    'ESTBackbone',
    'ESTHook',
    'Fleet',
    'InsertedMethod',
    'SharedBackbone',
    'SideNetwork',
    'TunedBackbone',
    'TuningMethod',
    '__version__',
    'load_delta',
    'measure_training_step',
    'save_delta',
    'trainable_parameters',
    'tune',
    'tuned_backbones',
]

find_mmseg_by_its_module()
find_shipped_bases()
