"""Prepare iSAID: patches of 896 pixels that overlap by 384, for configs/_base_/datasets/isaid_segmentation.py.

SOURCE, as published (in zip archives or not); the pictures are those of DOTA v1.0:
    train/images/P*.png    train/Semantic_masks/P*_instance_color_RGB.png
    val/images/P*.png      val/Semantic_masks/P*_instance_color_RGB.png

OUT, about 70 GB; masks hold 0 for background, 1 to 15 for the classes, 255 for what is beyond the picture:
    img_dir/{train,val}/<picture>_<y0>_<y1>_<x0>_<x1>.png
    ann_dir/{train,val}/<picture>_<y0>_<y1>_<x0>_<x1>_instance_color_RGB.png

Example:
    python tools/datasets/isaid.py ~/Downloads/iSAID data/isaid
"""

from mmest.datasets.preparation.command import main

if __name__ == '__main__':
    main('mmest.datasets.official.isaid', __doc__)
