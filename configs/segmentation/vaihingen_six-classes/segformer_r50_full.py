_base_ = './segformer_r50_est.py'
model = dict(backbone=dict(tuning=dict(_delete_=True, type='Full')))
