# ResNet-50 at half width, ImageNet-1k, from a file of your own. Its four stages have strides 4, 8, 16 and 32; its input
# is BGR in 0..255 with the mean taken off. Its first convolution, whose weights are small for that, stays as it is: a
# step of AdamW would change most of it.
backbone = dict(
    type='mmdet.ResNet',
    depth=50,
    stem_channels=64,
    base_channels=32,
    out_indices=(0, 1, 2, 3),
    style='caffe',
    frozen_stages=0,  # the stem
    norm_cfg=dict(type='BN', requires_grad=True),
    norm_eval=True,
    with_cp=False,
    init_cfg=dict(type='Pretrained', checkpoint='{{$MMEST_WEIGHTS:weights}}/resnet50-half_4stages_caffe_bgr.pth'),
)
normalisation = dict(mean=[104.0, 117.0, 123.0], std=[1.0, 1.0, 1.0], bgr_to_rgb=False)
channels = [128, 256, 512, 1024]
