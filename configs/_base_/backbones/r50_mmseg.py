# ResNet-50 with three 3×3 convolutions at its start, ImageNet-1k: the weights of mmseg's own configs. BatchNorm keeps
# its statistics, so that small batches do no harm.
backbone = dict(
    type='ResNetV1c',
    depth=50,
    num_stages=4,
    out_indices=(0, 1, 2, 3),
    frozen_stages=-1,
    norm_cfg=dict(type='BN', requires_grad=True),
    norm_eval=True,
    style='pytorch',
    with_cp=False,
    init_cfg=dict(type='Pretrained', checkpoint='open-mmlab://resnet50_v1c'),
)
channels = [256, 512, 1024, 2048]
