_base_ = ['../../_base_/models/light-segformer_r50-c4.py', '../../_base_/datasets/dubai_segmentation.py',
          '../../_base_/schedules/adamw_short_segmentation.py', '../../_base_/tunings/frozen.py']
model = dict(
    data_preprocessor=dict(size=_base_.crop_size), backbone=dict(tuning=_base_.tuning),
    decode_head=dict(num_classes=_base_.num_classes))
train_dataloader = dict(batch_size=4)
