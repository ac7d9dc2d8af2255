# Mask2Former of mmseg, on Swin-B.
_base_ = 'mmseg::mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024.py'
backbone = 'swin-b'
tuning = 'est'
