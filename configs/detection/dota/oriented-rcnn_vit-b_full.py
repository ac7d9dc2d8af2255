_base_ = './oriented-rcnn_vit-b_est.py'
model = dict(backbone=dict(tuning=dict(_delete_=True, type='Full')))
