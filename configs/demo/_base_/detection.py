# RetinaNet with a light FPN and head on the demo's Swin, for the boxes of the synthetic data set.
_base_ = ['mmdet::_base_/models/retinanet_r50_fpn.py', './swin.py']
default_scope = 'mmdet'
classes = ('plane', 'ship', 'vehicle', 'storage-tank')
norm = dict(type='GN', num_groups=8, requires_grad=True)
model = dict(
    backbone=dict(_delete_=True, type='TunedBackbone', backbone=_base_.backbone),
    neck=dict(
        in_channels=_base_.channels, out_channels=48, start_level=0, add_extra_convs=False, num_outs=4, norm_cfg=norm
    ),
    bbox_head=dict(
        num_classes=len(classes),
        in_channels=48,
        feat_channels=48,
        stacked_convs=2,
        norm_cfg=norm,
        # Vehicles are 7 to 10 pixels long: the finest level has a stride of 4 and anchors of 10 pixels.
        anchor_generator=dict(octave_base_scale=2.5, scales_per_octave=2, strides=[4, 8, 16, 32]),
    ),
)

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(128, 128), keep_ratio=False),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
dataset = dict(
    type='CocoDataset', data_root='{{$MMEST_DEMO_DIR:work_dirs/demo}}/data/target/', metainfo=dict(classes=classes)
)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(
        ann_file='annotations/train.json', data_prefix=dict(img='images/train/'), pipeline=train_pipeline, **dataset
    ),
)
val_dataloader = dict(
    batch_size=8,
    num_workers=0,
    persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='annotations/val.json',
        data_prefix=dict(img='images/val/'),
        test_mode=True,
        pipeline=test_pipeline,
        **dataset,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(
    type='CocoMetric', ann_file='{{$MMEST_DEMO_DIR:work_dirs/demo}}/data/target/annotations/val.json', metric='bbox'
)
test_evaluator = val_evaluator
val_cfg = dict(type='ValLoop')
test_cfg = dict(type='TestLoop')
