"""One small member of each family of backbones, by the libraries' own arguments."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn

from mmest.random_numbers import untouched_random_numbers

from .libraries import LIBRARIES

#: Height and width of the images, not square, so that the two cannot be taken for each other.
SIZE = (64, 96)


@dataclass(frozen=True)
class Member:
    """A family's small member.

    Attributes:
        family: what papers call the family.
        library: the package that has it.
        name: what the library calls it.
        arguments: that make it small.
        size: height and width of images that it takes.
    """

    family: str
    library: str
    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    size: tuple[int, int] = SIZE

    def build(self) -> nn.Module:
        """The backbone, every time the same, in eval mode. No parameter keeps a start of which a training leaves
        nothing: zeros, ones, layer scales of 1e-6, behind which nothing could be seen.
        """
        with untouched_random_numbers():
            torch.default_generator.manual_seed(0)
            backbone = LIBRARIES[self.library].build(self.name, **self.arguments)
            with torch.no_grad():
                for p in backbone.parameters():
                    p.add_(0.02 * torch.randn_like(p))
        backbone.eval()  # mmdet's Swin returns None from it
        return backbone


def _members(library: str, **members: tuple) -> list[Member]:
    return [Member(family.replace('_', ' '), library, *rest) for family, rest in members.items()]


_FOUR = dict(depths=(1, 1, 2, 1))
_HEADS = dict(num_heads=(1, 2, 4, 8))
_PLAIN_OF_MMSEG = dict(img_size=SIZE, embed_dims=32, num_layers=4, num_heads=2, out_indices=(1, 3))
_WINDOWS = dict(image_size=SIZE, embed_dim=16, depths=[2, 2], num_heads=[2, 2], window_size=4, out_indices=[1, 2])
_PLAIN = dict(hidden_size=32, num_hidden_layers=4, num_attention_heads=2, image_size=SIZE, out_indices=[2, 4])


def hrnet_stage(modules: int, channels: tuple[int, ...], block: str = 'BASIC') -> dict:
    """A stage of an HRNet with one block in each of its parallel branches, of so many channels."""
    few = (1,) * len(channels)
    return dict(num_modules=modules, num_branches=len(few), block=block, num_blocks=few, num_channels=channels)


_HRNET = dict(
    stage1=hrnet_stage(1, (8,), 'BOTTLENECK'),
    stage2=hrnet_stage(1, (8, 16)),
    stage3=hrnet_stage(1, (8, 16, 32)),
    stage4=hrnet_stage(1, (8, 16, 32, 64)),
)

MEMBERS = [
    *_members(
        'mmdet',
        ResNet=('ResNet', dict(depth=50, base_channels=8)),
        ResNeXt=('ResNeXt', dict(depth=50, base_channels=16, groups=8, base_width=4)),
        Res2Net=('Res2Net', dict(depth=50, base_channels=16, base_width=13)),
        ResNeSt=('ResNeSt', dict(depth=50, base_channels=16, stem_channels=16)),
        RegNet=('RegNet', dict(arch=dict(w0=16, wa=16.0, wm=2.0, group_w=8, depth=6, bot_mul=1.0))),
        DetectoRS=('DetectoRS_ResNet', dict(depth=50, base_channels=8)),
        HRNet=('HRNet', dict(extra=_HRNET)),
        EfficientNet=('EfficientNet', dict(arch='b0', out_indices=(3, 4, 6))),
        MobileNetV2=('MobileNetV2', dict(widen_factor=0.25)),
        CSPDarknet=('CSPDarknet', dict(widen_factor=0.125, deepen_factor=0.33)),
        CSPNeXt=('CSPNeXt', dict(widen_factor=0.125, deepen_factor=0.33)),
        Hourglass=(
            'HourglassNet',
            dict(
                downsample_times=3,
                num_stacks=1,
                stage_channels=(16, 16, 24, 32),
                stage_blocks=(1, 1, 1, 1),
                feat_channel=16,
            ),
        ),
        PVT=('PyramidVisionTransformer', dict(embed_dims=8, num_layers=(1, 1, 2, 1), pretrain_img_size=64)),
        PVTv2=('PyramidVisionTransformerV2', dict(embed_dims=8, num_layers=(1, 1, 2, 1))),
        Swin=('SwinTransformer', dict(embed_dims=16, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8), window_size=4)),
    ),
    *_members(
        'mmseg',
        BEiT=('BEiT', _PLAIN_OF_MMSEG),
        MAE=('MAE', _PLAIN_OF_MMSEG),
        ViT=('VisionTransformer', _PLAIN_OF_MMSEG),
        MiT=('MixVisionTransformer', dict(embed_dims=16, num_layers=(1, 1, 2, 1))),
        MSCAN=('MSCAN', dict(embed_dims=(8, 16, 32, 64), depths=(1, 1, 2, 1), norm_cfg=dict(type='BN'))),
        Twins_PCPVT=('PCPVT', dict(embed_dims=(8, 16, 32, 64), num_heads=(1, 2, 4, 8), depths=(1, 1, 2, 1))),
        MobileNetV3=('MobileNetV3', dict(arch='small')),
        STDC=(
            'STDCNet',
            dict(
                stdc_type='STDCNet1',
                in_channels=3,
                channels=(8, 16, 32, 64, 128),
                bottleneck_type='cat',
                num_convs=4,
                norm_cfg=dict(type='BN'),
                act_cfg=dict(type='ReLU'),
            ),
        ),
        ERFNet=('ERFNet', dict()),
        CGNet=('CGNet', dict(norm_cfg=dict(type='BN'))),
        Fast_SCNN=('FastSCNN', dict(out_indices=(0, 1, 2), norm_cfg=dict(type='BN'))),
    ),
    *_members(
        'timm',
        ResNet=('resnet10t', dict(out_indices=(1, 2, 3, 4))),
        ResNeXt=('resnext50_32x4d', dict(layers=(1, 1, 1, 1), cardinality=8, out_indices=(1, 2, 3, 4))),
        Res2Net=('res2net50_14w_8s', dict(layers=(1, 1, 1, 1), out_indices=(1, 2, 3, 4))),
        ResNeSt=('resnest14d', dict(out_indices=(1, 2, 3, 4))),
        RegNet=('regnetx_002', dict(out_indices=(1, 2, 3, 4))),
        DenseNet=('densenet121', dict(block_config=(2, 2, 2, 2), growth_rate=8)),
        DLA=('dla46_c', dict()),
        HRNet=('hrnet_w18_small', dict()),
        EfficientNet=('efficientnet_lite0', dict()),
        MobileNetV3=('mobilenetv3_small_050', dict()),
        MobileNetV4=('mobilenetv4_conv_small_050', dict()),
        GhostNet=('ghostnet_050', dict()),
        VoVNet=('ese_vovnet19b_slim_dw', dict()),
        HGNetV2=('hgnetv2_b0', dict()),
        RepViT=('repvit_m0_9', dict(embed_dim=(16, 32, 48, 64), depth=(1, 1, 2, 1))),
        StarNet=('starnet_s050', dict()),
        ConvNeXt=('convnext_atto', dict(dims=(16, 32, 48, 64), **_FOUR)),
        ConvNeXtV2=('convnextv2_atto', dict(dims=(16, 32, 48, 64), **_FOUR)),
        InceptionNeXt=('inception_next_atto', dict(dims=(16, 32, 48, 64), **_FOUR)),
        MambaOut=('mambaout_femto', dict(dims=(16, 32, 48, 64), **_FOUR, feature_cls='getter')),
        PoolFormer=('poolformer_s12', dict()),
        EdgeNeXt=('edgenext_xx_small', dict(dims=(16, 32, 48, 64), depths=(2, 2, 2, 2))),
        FastViT=('fastvit_t8', dict(layers=(1, 1, 2, 1))),
        FastViT_SA=('fastvit_sa12', dict(embed_dims=(16, 32, 32, 64), layers=(1, 1, 2, 1))),
        EfficientViT_MIT=('efficientvit_b0', dict()),
        EfficientViT_MSRA=('efficientvit_m0', dict(img_size=64), (64, 64)),
        MobileViT=('mobilevit_xxs', dict()),
        NextViT=('nextvit_small', dict(depths=(1, 2, 5, 2))),
        SwiftFormer=('swiftformer_xs', dict()),
        TinyViT=('tiny_vit_5m_224', dict(embed_dims=(32, 32, 64, 64), num_heads=(1, 1, 2, 2), depths=(1, 1, 2, 1))),
        Swin=(
            'swin_tiny_patch4_window7_224',
            dict(img_size=SIZE, embed_dim=16, depths=(2, 2, 2, 2), **_HEADS, feature_cls='getter'),
        ),
        SwinV2=(
            'swinv2_tiny_window8_256',
            dict(img_size=SIZE, embed_dim=16, depths=(2, 2, 2, 2), **_HEADS, feature_cls='getter'),
        ),
        DaViT=('davit_tiny', dict(embed_dims=(16, 32, 64, 64), **_HEADS, depths=(1, 1, 1, 1))),
        GCViT=('gcvit_xxtiny', dict(img_size=64, embed_dim=32), (64, 64)),
        PVTv2=('pvt_v2_b0', dict(embed_dims=(16, 16, 40, 64), depths=(1, 1, 2, 1))),
        Twins_SVT=(
            'twins_svt_small',
            dict(img_size=SIZE, embed_dims=(16, 32, 64, 64), **_HEADS, depths=(2, 2, 2, 2), wss=(4, 4, 4, 4)),
        ),
        MViTv2=('mvitv2_tiny', dict(img_size=64), (64, 64)),
        MaxViT=(
            'maxvit_rmlp_pico_rw_256',
            dict(img_size=64, embed_dim=(32, 32, 32, 64), depths=(1, 1, 1, 1)),
            (64, 64),
        ),
        CoAtNet=('coatnet_pico_rw_224', dict(img_size=SIZE, embed_dim=(32, 32, 32, 64), depths=(1, 1, 1, 1))),
        ViT=('vit_tiny_patch16_224', dict(img_size=SIZE, embed_dim=48, depth=4)),
        DeiT_III=('deit3_small_patch16_224', dict(img_size=SIZE, embed_dim=48, num_heads=3, depth=4)),
        BEiT=('beit_base_patch16_224', dict(img_size=SIZE, embed_dim=48, num_heads=3, depth=4)),
        EVA02=('eva02_tiny_patch14_224', dict(img_size=(56, 84), embed_dim=48, depth=4), (56, 84)),
        DINOv2_with_registers=(
            'vit_small_patch14_reg4_dinov2',
            dict(img_size=(56, 84), embed_dim=48, num_heads=3, depth=4),
            (56, 84),
        ),
        SAM=(
            'samvit_base_patch16',
            dict(img_size=SIZE, embed_dim=48, num_heads=3, depth=4, window_size=2, global_attn_indexes=(1, 3)),
        ),
        XCiT=('xcit_nano_12_p8_224', dict(img_size=SIZE, embed_dim=48, num_heads=3, depth=4)),
        CaiT=('cait_xxs24_224', dict(img_size=SIZE, embed_dim=48, num_heads=3, depth=4)),
        Hiera=('hiera_tiny_224', dict(img_size=SIZE, embed_dim=16, stages=(1, 1, 2, 1))),
        HieraDet=('hieradet_small', dict(embed_dim=16, stages=(1, 1, 2, 1), global_att_blocks=(3,))),
    ),
    *_members(
        'transformers',
        ResNet=('ResNet', dict(embedding_size=16, hidden_sizes=[32, 64], depths=[2, 2], out_indices=[1, 2])),
        BiT=('Bit', dict(embedding_size=32, hidden_sizes=[32, 64], depths=[2, 2], num_groups=8, out_indices=[1, 2])),
        ConvNeXt=('ConvNext', dict(hidden_sizes=[16, 32], depths=[2, 2], num_stages=2, out_indices=[1, 2])),
        ConvNeXtV2=('ConvNextV2', dict(hidden_sizes=[16, 32], depths=[2, 2], num_stages=2, out_indices=[1, 2])),
        DINOv3_ConvNeXt=(
            'DINOv3ConvNext',
            dict(hidden_sizes=[16, 32, 48, 64], depths=[1, 1, 2, 1], out_indices=[2, 4]),
        ),
        HGNetV2=('HGNetV2', dict(out_indices=[1, 2, 3, 4])),
        FocalNet=(
            'FocalNet',
            dict(
                embed_dim=16,
                hidden_sizes=[32, 64, 64, 64],
                depths=[1, 1, 2, 1],
                out_indices=[1, 2, 3, 4],
                image_size=SIZE,
            ),
        ),
        Swin=(
            'Swin',
            _WINDOWS,
        ),
        SwinV2=(
            'Swinv2',
            _WINDOWS,
        ),
        MaskFormer_Swin=(
            'MaskFormerSwin',
            _WINDOWS,
        ),
        PVTv2=('PvtV2', dict(hidden_sizes=[16, 16, 40, 64], depths=[1, 1, 2, 1], out_indices=[0, 1, 2, 3])),
        Hiera=('Hiera', dict(image_size=SIZE, embed_dim=16, depths=[1, 1, 2, 1], out_indices=[1, 2, 3, 4])),
        BEiT=('Beit', dict(_PLAIN, patch_size=16, use_relative_position_bias=True)),
        ViTDet=(
            'VitDet',
            dict(
                _PLAIN,
                pretrain_image_size=64,
                patch_size=16,
                window_size=2,
                window_block_indices=(0, 2),
                use_relative_position_embeddings=True,
            ),
        ),
        DINOv2=('Dinov2', dict(_PLAIN, image_size=64, patch_size=16)),
        DINOv2_with_registers=('Dinov2WithRegisters', dict(_PLAIN, image_size=64, patch_size=16)),
        DINOv3=('DINOv3ViT', dict(_PLAIN, patch_size=16, num_register_tokens=4)),
    ),
    *_members(
        'segmentation_models_pytorch',
        ResNet=('resnet18', dict()),
        DenseNet=('densenet121', dict()),
        EfficientNet=('efficientnet-b0', dict()),
        MobileNetV2=('mobilenet_v2', dict()),
        MobileOne=('mobileone_s0', dict()),
        DPN=('dpn68', dict()),
        MiT=('mit_b0', dict()),
    ),
]
