# Swin-L, ImageNet-22k, 224×224: there are no weights from ImageNet-1k alone.
_base_ = './swin-t_mmseg.py'
backbone = dict(
    embed_dims=192,
    depths=[2, 2, 18, 2],
    num_heads=[6, 12, 24, 48],
    init_cfg=dict(
        checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/'
        'swin_large_patch4_window7_224_22k_20220412-aeecf2aa.pth'
    ),
)
channels = [192, 384, 768, 1536]
