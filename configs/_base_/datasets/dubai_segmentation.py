# Semantic segmentation of aerial imagery (MBRSC, Dubai): 512×512 patches, 384 for training and 192 for validation. Patches
# are seen at half resolution, for a CPU. Under 1 % of the pixels are "unlabelled": they are ignored in training and
# evaluation, like the padding (255). The folder dubai_seg/ is looked for in $MMEST_DATA (default: data).
data_root = '{{$MMEST_DATA:data}}/dubai_seg/'
num_classes = 5
crop_size = (256, 256)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='Resize', scale=crop_size),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PackSegInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=crop_size),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')]
dataset = dict(type='DubaiDataset', data_root=data_root)
loader = dict(batch_size=8, num_workers=2, persistent_workers=False)
train_dataloader = dict(
    sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train'), pipeline=train_pipeline, **dataset),
    **loader)
val_dataloader = dict(
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val'), pipeline=test_pipeline, **dataset),
    **loader)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
