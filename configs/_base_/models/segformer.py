# The all-MLP head of SegFormer on the maps of any backbone: lighter than UperNet, no neck, no auxiliary head. A
# backbone is added by the configs that build on it.
_base_ = 'mmseg::_base_/models/segformer_mit-b0.py'
model = dict(pretrained=None)
