_base_ = 'mmdet::_base_/models/cascade-rcnn_r50_fpn.py'
model = dict(backbone=dict(_delete_=True, type='TunedBackbone'))
