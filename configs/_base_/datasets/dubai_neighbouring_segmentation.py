# Semantic segmentation of aerial imagery (MBRSC, Dubai): 512×512 patches, 384 for training and 192 for validation, seen
# at full resolution through crops that a CPU can bear. Under 1 % of the pixels are "unlabelled": they are ignored in
# training and evaluation, like the padding (255). The folder dubai_seg/ is looked for in $MMEST_DATA (default: data).
_base_ = './patches_segmentation.py'
num_classes = 5
crop_size = (256, 256)
train_pipeline = _base_.train_pipeline
train_pipeline[3].crop_size = crop_size
dataset = dict(type='DubaiDataset', data_root='{{$MMEST_DATA:data}}/dubai_seg/')
train_dataloader = dict(batch_size=8, dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
