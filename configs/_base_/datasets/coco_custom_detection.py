# Your own data in COCO format. Edit these lines, or set data_root by $MMEST_DATA:
data_root = '{{$MMEST_DATA:data/my_data}}/'
classes = ('class-1', 'class-2')  # the names in the annotation files, exactly; a single one as ('class-1', )
train_ann, train_images, val_ann, val_images = 'annotations/train.json', 'train/', 'annotations/val.json', 'val/'

num_classes = len(classes)
scale = (800, 800)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='Resize', scale=scale, keep_ratio=True),
    # Overhead images have no upright.
    dict(type='RandomFlip', prob=[0.25, 0.25, 0.25], direction=['horizontal', 'vertical', 'diagonal']),
    dict(type='PackDetInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=scale, keep_ratio=True),
    dict(type='LoadAnnotations', with_bbox=True),
    dict(type='PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor'))]
dataset = dict(type='CocoDataset', data_root=data_root, metainfo=dict(classes=classes))
# Workers start anew at each epoch, so that a resumed training repeats the augmentation of an uninterrupted one.
loader = dict(num_workers=2, persistent_workers=False)
train_dataloader = dict(
    batch_size=2, sampler=dict(type='DefaultSampler', shuffle=True), batch_sampler=dict(type='AspectRatioBatchSampler'),
    dataset=dict(ann_file=train_ann, data_prefix=dict(img=train_images), filter_cfg=dict(filter_empty_gt=True),
                 pipeline=train_pipeline, **dataset), **loader)
val_dataloader = dict(
    batch_size=1, drop_last=False, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(ann_file=val_ann, data_prefix=dict(img=val_images), test_mode=True, pipeline=test_pipeline, **dataset),
    **loader)
test_dataloader = val_dataloader
val_evaluator = dict(type='CocoMetric', ann_file=data_root + val_ann, metric='bbox')
test_evaluator = val_evaluator
