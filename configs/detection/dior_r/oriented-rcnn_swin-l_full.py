_base_ = './oriented-rcnn_swin-l_est.py'
model = dict(backbone=dict(tuning=dict(_delete_=True, type='Full')))
