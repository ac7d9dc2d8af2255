# Swin-L, ImageNet-22k, 384×384 with windows of 12: the weights that mmdet's own configs use.
_base_ = './swin-t_mmdet.py'
backbone = dict(
    pretrain_img_size=384,
    embed_dims=192,
    depths=[2, 2, 18, 2],
    num_heads=[6, 12, 24, 48],
    window_size=12,
    drop_path_rate=0.3,
    init_cfg=dict(
        checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
        'swin_large_patch4_window12_384_22k.pth'
    ),
)
channels = [192, 384, 768, 1536]
