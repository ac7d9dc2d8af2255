# The lightest segmentor: one 3×3 convolution with 64 channels and a classifier, on the last map of the backbone alone,
# so that what the backbone hands over decides.
_base_ = 'mmseg::_base_/models/fcn_r50-d8.py'
model = dict(
    pretrained=None,
    backbone=dict(_delete_=True, type='TunedBackbone'),
    decode_head=dict(
        in_index=0, channels=64, num_convs=1, concat_input=False, norm_cfg=dict(type='BN', requires_grad=True)
    ),
    auxiliary_head=None,
)
