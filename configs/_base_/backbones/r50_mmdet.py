# ResNet-50, ImageNet-1k, torchvision's weights by their address: mmdet's torchvision://resnet50 wants torchvision
# installed. BatchNorm keeps its statistics, as mmdet's configs do.
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
    init_cfg=dict(type='Pretrained', checkpoint='https://download.pytorch.org/models/resnet50-0676ba61.pth'),
)
channels = [256, 512, 1024, 2048]
