# Swin-B, ImageNet-1k, 224×224.
_base_ = './swin-t.py'
backbone = dict(embed_dims=128, depths=[2, 2, 18, 2], num_heads=[4, 8, 16, 32])
for_mmdet = dict(
    drop_path_rate=0.3,
    init_cfg=dict(
        checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
        'swin_base_patch4_window7_224.pth'
    ),
)
for_mmseg = dict(
    init_cfg=dict(
        checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/swin/'
        'swin_base_patch4_window7_224_20220317-e9b98025.pth'
    )
)
channels = [128, 256, 512, 1024]
