# HRPlanesV2: airplanes at airports in Google Earth imagery, COCO boxes, 640×360 pixels, 1007 training and 415
# validation images. Sized for a CPU: training sees 192×192 crops at full resolution, validation every fifth image,
# whole. The folder hrplanes/ is looked for in $MMEST_DATA (default: data).
data_root = '{{$MMEST_DATA:data}}/hrplanes/'
classes = ('airplane',)
num_classes = len(classes)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='RandomCrop', crop_size=(192, 192)),
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(640, 360), keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    # The metric takes the ground truth from "instances": a COCO file would count the images that are left out as
    # missed.
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'instances')),
]
dataset = dict(type='CocoDataset', data_root=data_root, metainfo=dict(classes=classes))
loader = dict(batch_size=4, num_workers=2, persistent_workers=False)
train_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        ann_file='annotations/train.json',
        data_prefix=dict(img='train/'),
        filter_cfg=dict(filter_empty_gt=True),
        pipeline=train_pipeline,
        **dataset,
    ),
    **loader,
)
val_dataloader = dict(
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        ann_file='annotations/val.json',
        data_prefix=dict(img='val/'),
        test_mode=True,
        indices=list(range(0, 415, 5)),
        pipeline=test_pipeline,
        **dataset,
    ),
    **loader,
)
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', metric='bbox')
test_evaluator = val_evaluator
