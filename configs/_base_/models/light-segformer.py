# A segmentor light enough for a CPU: the all-MLP head of SegFormer with 64 channels on the maps of the backbone, no
# neck.
_base_ = 'mmseg::_base_/models/segformer_mit-b0.py'
model = dict(
    pretrained=None,
    backbone=dict(_delete_=True, type='TunedBackbone'),
    decode_head=dict(channels=64, norm_cfg=dict(type='BN', requires_grad=True)),
)
# A backbone whose maps have one scale hands over all of them as they are.
plain = dict(neck=None)
