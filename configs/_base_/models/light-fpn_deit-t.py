_base_ = ['./light-fpn.py', '../backbones/deit-t.py']
model = dict(
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=_base_.backbone),
    # From one scale to four: strides 8, 16, 32 and 64.
    neck=[dict(type='Feature2Pyramid', embed_dim=192, rescales=[2, 1, 0.5, 0.25]),
          dict(_base_.fpn, in_channels=_base_.channels, num_outs=4)],
    decode_head=dict(in_channels=[64] * 4, feature_strides=[8, 16, 32, 64]))
