# DIOR, horizontal boxes, as `mmest data prepare dior` prepares it: trains on train + val, scores on test, PASCAL VOC's
# AP50 (area under the curve) and COCO's AP. The folder dior/ is looked for in $MMEST_DATA (default: data).
_base_ = './detection_loaders.py'
data_root = '{{$MMEST_DATA:data}}/dior/'
num_classes = 20
train_dataloader = dict(
    dataset=dict(
        type='DIORDataset', data_root=data_root, ann_file='annotations/trainval.json', data_prefix=dict(img='images/')
    )
)
val_dataloader = dict(
    dataset=dict(
        type='DIORDataset', data_root=data_root, ann_file='annotations/test.json', data_prefix=dict(img='images/')
    )
)
test_dataloader = dict(_base_.val_dataloader, dataset=dict(_base_.val_dataloader.dataset, **val_dataloader['dataset']))
val_evaluator = [
    dict(type='VOCMetric', metric='mAP', eval_mode='area'),
    dict(type='CocoMetric', ann_file=data_root + 'annotations/test.json', metric='bbox'),
]
test_evaluator = val_evaluator
