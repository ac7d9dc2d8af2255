# Pretraining on the source domain: the segmentation of the demo, from random weights, with all of the backbone trained.
_base_ = ['./_base_/segmentation.py', './_base_/one_cycle.py']
model = dict(backbone=dict(tuning=dict(type='Full')))
source = '{{$MMEST_DEMO_DIR:work_dirs/demo}}/data/source'
iterations = 750
# Colours change between places and seasons: features that lean on them less transfer better.
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs'),
]
train_dataloader = dict(dataset=dict(data_root=source, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=source))
test_dataloader = val_dataloader
train_cfg = dict(max_iters=iterations, val_interval=iterations)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.05, by_epoch=False, begin=0, end=iterations // 10),
    dict(type='CosineAnnealingLR', eta_min=0.0, by_epoch=False, begin=iterations // 10, end=iterations),
]
default_hooks = dict(checkpoint=dict(interval=iterations))
optim_wrapper = dict(optimizer=dict(lr=2e-3))
