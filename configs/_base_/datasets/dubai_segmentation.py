# Semantic segmentation of aerial imagery (MBRSC, Dubai): 512×512 patches, 384 for training and 192 for validation, seen at full
# resolution through crops that a CPU can bear. Under 1 % of the pixels are "unlabelled": they are ignored in training and
# evaluation, like the padding (255). The folder dubai_seg/ is looked for in $MMEST_DATA (default: data).
_base_ = './patches_segmentation.py'
num_classes = 5
crop_size = (256, 256)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations'),
    dict(type='RandomResize', scale=(512, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size, cat_max_ratio=0.75),
    dict(type='RandomFlip', prob=0.5, direction='horizontal'),
    dict(type='RandomFlip', prob=0.5, direction='vertical'),
    dict(type='PhotoMetricDistortion'),
    dict(type='PackSegInputs')]
dataset = dict(type='DubaiDataset', data_root='{{$MMEST_DATA:data}}/dubai_seg/')
train_dataloader = dict(dataset=dict(dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
