# Roads in aerial images (EPFL's road segmentation challenge): 400×400 pixels, 80 images for training and 20 for
# validation, seen at full resolution through crops that a CPU can bear. The folder epfl_road/ is looked for in
# $MMEST_DATA (default: data).
_base_ = './patches_segmentation.py'
num_classes = 2
crop_size = (256, 256)
train_pipeline = _base_.train_pipeline
train_pipeline[3].crop_size = crop_size
dataset = dict(type='EPFLRoadDataset', data_root='{{$MMEST_DATA:data}}/epfl_road/')
train_dataloader = dict(batch_size=8, dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
