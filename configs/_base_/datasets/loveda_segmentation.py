# LoveDA, urban and rural together; no data (0) is ignored. Trains on train, scores on val; `mmest test --submission`
# runs on test and writes the server's file. Prepared by `mmest data prepare loveda`; loveda/ is looked for in
# $MMEST_DATA (default: data).
_base_ = './patches_segmentation.py'
num_classes = 7
dataset = dict(type='LoveDADataset', data_root='{{$MMEST_DATA:data}}/loveda/')
train_dataloader = dict(dataset=dataset)
val_dataloader = dict(dataset=dataset)
test_dataloader = dict(dataset=dataset)
submission_dataloader = dict(
    _base_.test_dataloader,
    dataset=dict(
        **dataset,
        data_prefix=dict(img_path='img_dir/test'),
        pipeline=[_base_.test_pipeline[0], _base_.test_pipeline[2]],
    ),
)
submission_evaluator = dict(type='LoveDASubmission')
