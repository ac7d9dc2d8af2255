_base_ = './detection_loaders.py'
# Your own data in COCO format. Edit these lines, or set data_root by $MMEST_DATA:
data_root = '{{$MMEST_DATA:data/my_data}}/'
classes = ('class-1', 'class-2')  # the names in the annotation files, exactly; a single one as ('class-1', )
train_ann, train_images, val_ann, val_images = 'annotations/train.json', 'train/', 'annotations/val.json', 'val/'

num_classes = len(classes)
# An overhead image shows more than the 100 objects that detectors are set to. So many are what a region proposal
# network hands on and what CocoMetric scores; but COCO's mAP over all IoUs counts the best 100 of an image.
max_per_img = 1000
train_dataloader = dict(
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        metainfo=dict(classes=classes),
        ann_file=train_ann,
        data_prefix=dict(img=train_images),
    )
)
val_dataloader = dict(
    dataset=dict(
        type='CocoDataset',
        data_root=data_root,
        metainfo=dict(classes=classes),
        ann_file=val_ann,
        data_prefix=dict(img=val_images),
    )
)
test_dataloader = dict(_base_.val_dataloader, dataset=dict(_base_.val_dataloader.dataset, **val_dataloader['dataset']))
val_evaluator = dict(type='CocoMetric', ann_file=data_root + val_ann, metric='bbox')
test_evaluator = val_evaluator
