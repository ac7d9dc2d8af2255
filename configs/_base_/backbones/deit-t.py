# DeiT-Tiny, ImageNet-1k, from a file of your own. It has the keys of mmseg's VisionTransformer: mmseg's
# tools/model_converters/vit2mmseg.py makes it from the published weights.
backbone = dict(
    type='mmseg.VisionTransformer',
    img_size=224,
    patch_size=16,
    embed_dims=192,
    num_layers=12,
    num_heads=3,
    mlp_ratio=4,
    out_indices=(2, 5, 8, 11),
    qkv_bias=True,
    drop_path_rate=0.0,
    patch_bias=True,
    final_norm=True,
    norm_cfg=dict(type='LN', eps=1e-6),
    interpolate_mode='bicubic',
    with_cp=False,
    init_cfg=dict(type='Pretrained', checkpoint='{{$MMEST_WEIGHTS:weights}}/deit-tiny_in1k_mmseg_vit.pth'),
)
channels = [192, 192, 192, 192]
normalisation = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
