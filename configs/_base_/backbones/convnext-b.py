# ConvNeXt-B, ImageNet-1k, 224×224. It is mmpretrain's: pip install 'mmest[mmpretrain]'.
backbone = dict(
    type='mmpretrain.ConvNeXt',
    arch='base',
    out_indices=(0, 1, 2, 3),
    drop_path_rate=0.4,
    layer_scale_init_value=1.0,
    gap_before_final_norm=False,
    with_cp=False,
    init_cfg=dict(
        type='Pretrained',
        prefix='backbone.',
        checkpoint='https://download.openmmlab.com/mmclassification/v0/'
        'convnext/downstream/convnext-base_3rdparty_32xb128-noema_in1k_20220301-2a0ee547.pth',
    ),
)
channels = [128, 256, 512, 1024]
normalisation = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
