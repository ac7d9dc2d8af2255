# ResNet-50 up to its third stage, ImageNet-1k, from a file of your own. It hands over strides 8 and 16.
backbone = dict(
    type='ResNet',
    depth=50,
    num_stages=3,
    strides=(1, 2, 2),
    dilations=(1, 1, 1),
    out_indices=(1, 2),
    style='caffe',
    frozen_stages=-1,
    norm_cfg=dict(type='BN', requires_grad=True),
    norm_eval=True,
    with_cp=False,
    init_cfg=dict(type='Pretrained', checkpoint='{{$MMEST_WEIGHTS:weights}}/resnet50_in1k_caffe_rgb_conv1-layer3.pth'),
)
channels = [512, 1024]
normalisation = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
