_base_ = './segmentation_loaders.py'
# Your own data as pairs of folders: images, and masks of the same names whose pixels are class numbers from 0 on; 255
# is ignored. Edit these lines, or set data_root by $MMEST_DATA:
data_root = '{{$MMEST_DATA:data/my_data}}/'
classes = ('background', 'class-1')  # the name of pixel value 0, of 1, ...
img_suffix, seg_map_suffix = '.png', '.png'

num_classes = len(classes)
# Any distinct colours; they appear in pictures of predictions only.
palette = [[(37 * i + 60) % 256, (91 * i + 120) % 256, (157 * i + 30) % 256] for i in range(num_classes)]
test_pipeline = [
    _base_.test_pipeline[0],
    dict(type='Resize', scale=_base_.crop_size, keep_ratio=True),
    *_base_.test_pipeline[1:],
]
train_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset',
        data_root=data_root,
        metainfo=dict(classes=classes, palette=palette),
        data_prefix=dict(img_path='images/train', seg_map_path='masks/train'),
        img_suffix=img_suffix,
        seg_map_suffix=seg_map_suffix,
        reduce_zero_label=False,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='BaseSegDataset',
        data_root=data_root,
        metainfo=dict(classes=classes, palette=palette),
        data_prefix=dict(img_path='images/val', seg_map_path='masks/val'),
        img_suffix=img_suffix,
        seg_map_suffix=seg_map_suffix,
        reduce_zero_label=False,
        pipeline=test_pipeline,
    )
)
test_dataloader = dict(_base_.val_dataloader, dataset=val_dataloader['dataset'])
