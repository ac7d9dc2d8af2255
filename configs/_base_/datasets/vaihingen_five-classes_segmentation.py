# ISPRS Vaihingen, five classes: clutter is ignored, in training and in the score. The other protocol is
# vaihingen_six-classes_segmentation.py.
_base_ = './vaihingen_six-classes_segmentation.py'
num_classes = 5
dataset = dict(metainfo=dict(classes=('impervious_surface', 'building', 'low_vegetation', 'tree', 'car')))
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
