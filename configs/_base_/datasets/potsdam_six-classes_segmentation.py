# ISPRS Potsdam, six classes: clutter is one of them, in training and in the score. The other protocol is
# potsdam_five-classes_segmentation.py. Prepared by `mmest data prepare potsdam`; potsdam/ is looked for in $MMEST_DATA
# (default: data).
_base_ = './patches_segmentation.py'
num_classes = 6
dataset = dict(type='PotsdamDataset', data_root='{{$MMEST_DATA:data}}/potsdam/')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
