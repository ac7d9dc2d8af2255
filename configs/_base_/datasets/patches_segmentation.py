# Patches in img_dir/{train,val} and ann_dir/{train,val}; a data set adds its class and its folder.
_base_ = './segmentation_loaders.py'
train_dataloader = dict(dataset=dict(data_prefix=dict(img_path='img_dir/train', seg_map_path='ann_dir/train')))
val_dataloader = dict(dataset=dict(data_prefix=dict(img_path='img_dir/val', seg_map_path='ann_dir/val')))
test_dataloader = dict(_base_.val_dataloader, dataset=dict(_base_.val_dataloader.dataset, **val_dataloader['dataset']))
