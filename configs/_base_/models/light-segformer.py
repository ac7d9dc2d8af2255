# A segmentor light enough for a CPU: the all-MLP head of SegFormer with 64 channels on the maps of the backbone, no
# neck. A backbone is added by the configs that build on it.
_base_ = 'mmseg::_base_/models/segformer_mit-b0.py'
model = dict(pretrained=None, decode_head=dict(channels=64, norm_cfg=dict(type='BN', requires_grad=True)))
