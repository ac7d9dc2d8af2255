# DIOR-R, the oriented boxes of DIOR, as `mmest data prepare dior_r` prepares them: trains on train + val, scores on
# test, AP50 at 11 points. The folder dior_r/ is looked for in $MMEST_DATA (default: data).
_base_ = ['./dior_detection.py', './oriented_boxes.py']
data_root = '{{$MMEST_DATA:data}}/dior_r/'
train_pipeline = [_base_.train_pipeline[0], *_base_.load_oriented, *_base_.train_pipeline[2:]]
test_pipeline = [*_base_.test_pipeline[:2], *_base_.load_oriented, *_base_.test_pipeline[3:]]
train_dataloader = dict(dataset=dict(type='OrientedDIORDataset', data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type='OrientedDIORDataset', data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
# Of 0..1, as DIOR's metrics under this prefix are; under its own, dota, AP50 is in per cent.
val_evaluator = dict(_delete_=True, type='mmrotate.DOTAMetric', metric='mAP', prefix='pascal_voc')
test_evaluator = val_evaluator
