_base_ = './oriented-rcnn_swin-t_est.py'
model = dict(backbone=dict(tuning=dict(_delete_=True, type='Full')))
