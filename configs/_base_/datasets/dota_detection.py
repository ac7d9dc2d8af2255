# DOTA v1.0, horizontal boxes, as `mmest data prepare dota` prepares it: trains on the patches of train, scores the
# merged detections on the whole pictures of val, AP50 as Task 2 of the server. `mmest test --submission` runs on test
# and writes the server's files. The folder dota/ is looked for in $MMEST_DATA (default: data).
_base_ = './detection_loaders.py'
data_root = '{{$MMEST_DATA:data}}/dota/'
num_classes = 15
max_per_img = 2000  # a patch of a harbour or a car park shows more than the 100 objects that detectors are set to
scale = (1024, 1024)
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = scale
train_dataloader = dict(
    dataset=dict(
        type='DOTADataset',
        data_root=data_root,
        ann_file='annotations/train_patches.json',
        data_prefix=dict(img='train/'),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='DOTADataset',
        data_root=data_root,
        ann_file='annotations/val_patches.json',
        data_prefix=dict(img='val/'),
        pipeline=test_pipeline,
    )
)
test_dataloader = dict(_base_.val_dataloader, dataset=dict(_base_.val_dataloader.dataset, **val_dataloader['dataset']))
submission_dataloader = dict(
    test_dataloader,
    dataset=dict(test_dataloader['dataset'], ann_file='annotations/test_patches.json', data_prefix=dict(img='test/')),
)
val_evaluator = dict(type='DOTABoxMetric', ann_file=data_root + 'annotations/val_images.json')
test_evaluator = val_evaluator
submission_evaluator = dict(type='DOTABoxMetric')
