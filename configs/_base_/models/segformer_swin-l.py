_base_ = ['./segformer.py', '../backbones/swin-l_mmseg.py']
model = dict(
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=_base_.backbone),
    decode_head=dict(in_channels=_base_.channels),
)
