# Swin-T, ImageNet-1k, 224×224, from the authors of Swin; mmdet converts the keys.
backbone = dict(
    type='SwinTransformer',
    embed_dims=96,
    depths=[2, 2, 6, 2],
    num_heads=[3, 6, 12, 24],
    window_size=7,
    mlp_ratio=4,
    qkv_bias=True,
    patch_norm=True,
    drop_path_rate=0.2,
    out_indices=(0, 1, 2, 3),
    frozen_stages=-1,
    with_cp=False,
    convert_weights=True,
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
        'swin_tiny_patch4_window7_224.pth',
    ),
)
channels = [96, 192, 384, 768]
