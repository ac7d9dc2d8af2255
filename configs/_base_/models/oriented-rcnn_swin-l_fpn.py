_base_ = ['./faster-rcnn_swin-l_fpn.py', './oriented-rcnn.py']
model = _base_.oriented
