# DeepLabV3+ of mmseg, on its dilated ResNet.
_base_ = 'mmseg::deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024.py'
tuning = 'est'
model = dict(decode_head=dict(num_classes=3), auxiliary_head=dict(num_classes=3))
