# ISPRS Vaihingen, six classes: clutter is one of them, in training and in the score. The other protocol is
# vaihingen_five-classes_segmentation.py. Prepared by `mmest data prepare vaihingen`; vaihingen/ is looked for in
# $MMEST_DATA (default: data).
_base_ = './patches_segmentation.py'
num_classes = 6
dataset = dict(type='ISPRSDataset', data_root='{{$MMEST_DATA:data}}/vaihingen/')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
