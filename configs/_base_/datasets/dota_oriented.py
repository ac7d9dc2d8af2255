# DOTA v1.0, oriented boxes, from the same preparation as the horizontal ones: trains on the patches of train, scores
# the merged detections on the whole pictures of val, AP50 as Task 1 of the server. `mmest test --submission`
# writes its files.
_base_ = ['./dota_detection.py', './oriented_boxes.py']
train_pipeline = [_base_.train_pipeline[0], *_base_.load_oriented, *_base_.train_pipeline[2:]]
test_pipeline = [*_base_.test_pipeline[:2], *_base_.load_oriented, *_base_.test_pipeline[3:]]
train_dataloader = dict(dataset=dict(type='OrientedDOTADataset', pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type='OrientedDOTADataset', pipeline=test_pipeline))
test_dataloader = val_dataloader
submission_dataloader = val_dataloader
val_evaluator = dict(oriented=True)
test_evaluator = val_evaluator
submission_evaluator = val_evaluator
