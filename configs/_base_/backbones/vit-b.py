# ViT-B/16, ImageNet-21k, then 1k at 384×384. It has the keys of mmseg's VisionTransformer, and takes pixels scaled to
# [-1, 1].
backbone = dict(
    type='mmseg.VisionTransformer',
    img_size=384,
    patch_size=16,
    embed_dims=768,
    num_layers=12,
    num_heads=12,
    mlp_ratio=4,
    out_indices=(2, 5, 8, 11),
    qkv_bias=True,
    drop_path_rate=0.1,
    patch_bias=True,
    final_norm=True,
    norm_cfg=dict(type='LN', eps=1e-6),
    interpolate_mode='bicubic',
    with_cp=False,
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://download.openmmlab.com/mmsegmentation/v0.5/pretrain/segmenter/'
        'vit_base_p16_384_20220308-96dfe169.pth',
    ),
)
channels = [768, 768, 768, 768]
normalisation = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5], bgr_to_rgb=True)
