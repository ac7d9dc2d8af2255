# The all-MLP head of SegFormer on the maps of any backbone: lighter than UperNet, no neck, no auxiliary head.
_base_ = 'mmseg::_base_/models/segformer_mit-b0.py'
model = dict(pretrained=None, backbone=dict(_delete_=True, type='TunedBackbone'))
