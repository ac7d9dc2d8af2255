from mmest.backbones.shared import SharedBackbone
from mmest.backbones.tuned_backbone import ESTBackbone, TunedBackbone, tuned_backbones

__all__ = ['ESTBackbone', 'SharedBackbone', 'TunedBackbone', 'tuned_backbones']
