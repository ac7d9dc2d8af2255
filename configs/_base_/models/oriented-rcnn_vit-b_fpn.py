_base_ = ['./faster-rcnn_vit-b_fpn.py', './oriented-rcnn.py']
model = _base_.oriented
