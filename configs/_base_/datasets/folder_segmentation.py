# Your own data as pairs of folders: images, and masks of the same names whose pixels are class numbers from 0 on; 255 is
# ignored. Edit these lines, or set data_root by $MMEST_DATA:
data_root = '{{$MMEST_DATA:data/my_data}}/'
classes = ('background', 'class-1')  # the name of pixel value 0, of 1, ...
img_suffix, seg_map_suffix = '.png', '.png'

num_classes = len(classes)
crop_size = (512, 512)
# Any distinct colours; they appear in pictures of predictions only.
palette = [[(37 * i + 60) % 256, (91 * i + 120) % 256, (157 * i + 30) % 256] for i in range(num_classes)]
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=crop_size, ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    # Overhead images have no upright.
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')]
test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=crop_size, keep_ratio=True),
    dict(type='LoadAnnotations'),
    dict(type='PackSegInputs')]
dataset = dict(
    type='BaseSegDataset', data_root=data_root, metainfo=dict(classes=classes, palette=palette), img_suffix=img_suffix,
    seg_map_suffix=seg_map_suffix, reduce_zero_label=False)
loader = dict(num_workers=2, persistent_workers=False)
train_dataloader = dict(
    batch_size=4, sampler=dict(type='InfiniteSampler', shuffle=True),
    dataset=dict(data_prefix=dict(img_path='images/train', seg_map_path='masks/train'), pipeline=train_pipeline, **dataset),
    **loader)
val_dataloader = dict(
    batch_size=1, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(data_prefix=dict(img_path='images/val', seg_map_path='masks/val'), pipeline=test_pipeline, **dataset),
    **loader)
test_dataloader = val_dataloader
val_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
