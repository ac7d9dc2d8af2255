_base_ = ['./faster-rcnn_swin-t_fpn.py', './oriented-rcnn.py']
model = _base_.oriented
