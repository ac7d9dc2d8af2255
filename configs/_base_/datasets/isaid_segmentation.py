# iSAID, 15 classes and background, which is scored as a class; what is beyond the picture (255) is ignored. Trains on
# train, scores on val. Prepared by `mmest data prepare isaid`; isaid/ is looked for in $MMEST_DATA (default: data).
_base_ = './patches_segmentation.py'
num_classes = 16
crop_size = (896, 896)
train_pipeline = _base_.train_pipeline
train_pipeline[2].scale = train_pipeline[3].crop_size = crop_size
dataset = dict(type='iSAIDDataset', data_root='{{$MMEST_DATA:data}}/isaid/')
train_dataloader = dict(dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
