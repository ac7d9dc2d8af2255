_base_ = ['./faster-rcnn_r50_fpn.py', './oriented-rcnn.py']
model = _base_.oriented
