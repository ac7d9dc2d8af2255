_base_ = ['./faster-rcnn_convnext-b_fpn.py', './oriented-rcnn.py']
model = _base_.oriented
