# EfficientNet-B0, ImageNet-1k, from a file of your own. It has the keys of mmdet's EfficientNet, and four stages of
# strides 4, 8, 16 and 32.
backbone = dict(
    type='mmdet.EfficientNet',
    arch='b0',
    drop_path_rate=0.0,
    out_indices=(2, 3, 4, 5),
    frozen_stages=0,  # none
    conv_cfg=None,
    norm_cfg=dict(type='BN', requires_grad=True, eps=1e-5),
    act_cfg=dict(type='Swish'),
    norm_eval=True,
    with_cp=False,
    init_cfg=dict(type='Pretrained', checkpoint='{{$MMEST_WEIGHTS:weights}}/efficientnet-b0_4stages_mmdet.pth'),
)
normalisation = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
channels = [24, 40, 112, 320]
