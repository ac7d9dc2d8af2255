_base_ = ['./faster-rcnn_swin-b_fpn.py', './oriented-rcnn.py']
model = _base_.oriented
