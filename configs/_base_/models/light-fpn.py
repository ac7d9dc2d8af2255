# A segmentor light enough for a CPU: an FPN of 64 channels and the head of Panoptic FPN. A backbone and the input side of
# the neck are added by the configs that build on it.
_base_ = 'mmseg::_base_/models/fpn_r50.py'
norm = dict(type='GN', num_groups=8, requires_grad=True)
fpn = dict(type='FPN', out_channels=64)
model = dict(pretrained=None, decode_head=dict(channels=64, norm_cfg=norm))
