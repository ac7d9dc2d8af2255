# Semantic segmentation of aerial imagery (MBRSC, Dubai), with whole tiles held out: 351 patches of five tiles for
# training, 225 of three others for validation. Patches of one tile overlap or touch: the split that has neighbours on
# both sides is dubai_neighbouring_segmentation.py, whose pipelines these are. The lists of patches lie in
# dubai_seg/splits/.
_base_ = './dubai_neighbouring_segmentation.py'
folders = dict(img_path='img_dir', seg_map_path='ann_dir')
train_dataloader = dict(dataset=dict(data_prefix=folders, ann_file='splits/tiles_apart_train.txt'))
val_dataloader = dict(dataset=dict(data_prefix=folders, ann_file='splits/tiles_apart_val.txt'))
test_dataloader = val_dataloader
