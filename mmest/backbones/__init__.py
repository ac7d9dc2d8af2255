from mmest.backbones.tuned_backbone import ESTBackbone, TunedBackbone, tuned_backbones

__all__ = ['ESTBackbone', 'TunedBackbone', 'tuned_backbones']
