# Swin-L, ImageNet-22k. In mmdet at 384×384 with windows of 12, the weights of its own configs; in mmseg at 224×224.
_base_ = './swin-t.py'
backbone = dict(embed_dims=192, depths=[2, 2, 18, 2], num_heads=[6, 12, 24, 48])
for_mmdet = dict(
    pretrain_img_size=384,
    window_size=12,
    drop_path_rate=0.3,
    init_cfg=dict(
        checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
        'swin_large_patch4_window12_384_22k.pth'
    ),
)
for_mmseg = dict(
    init_cfg=dict(
        checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/'
        'swin_large_patch4_window7_224_22k_20220412-aeecf2aa.pth'
    )
)
channels = [192, 384, 768, 1536]
