_base_ = ['mmseg::_base_/models/upernet_swin.py', '../backbones/swin-s_mmseg.py']
model = dict(
    pretrained=None,
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=_base_.backbone),
    decode_head=dict(in_channels=_base_.channels),
    auxiliary_head=dict(in_channels=_base_.channels[2]),
)
