# ResNet-50, ImageNet-1k. In mmdet with torchvision's weights by their address, as mmdet's torchvision://resnet50 wants
# torchvision installed; in mmseg with three 3×3 convolutions at its start and the weights of mmseg's own configs.
# BatchNorm keeps its statistics, as mmdet's configs do, so that small batches do no harm.
backbone = dict(
    type='ResNet',
    depth=50,
    num_stages=4,
    out_indices=(0, 1, 2, 3),
    frozen_stages=-1,
    norm_cfg=dict(type='BN', requires_grad=True),
    norm_eval=True,
    style='pytorch',
    with_cp=False,
)
for_mmdet = dict(
    init_cfg=dict(type='Pretrained', checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth')
)
for_mmseg = dict(type='ResNetV1c', init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet50_v1c'))
channels = [256, 512, 1024, 2048]
normalisation = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True)
