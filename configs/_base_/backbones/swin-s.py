# Swin-S, ImageNet-1k, 224×224.
_base_ = './swin-t.py'
backbone = dict(depths=[2, 2, 18, 2])
for_mmdet = dict(
    init_cfg=dict(
        checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
        'swin_small_patch4_window7_224.pth'
    )
)
for_mmseg = dict(
    init_cfg=dict(
        checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/'
        'swin_small_patch4_window7_224_20220317-7ba6d6dd.pth'
    )
)
