"""Prepare LoveDA: checked pictures and masks for configs/_base_/datasets/loveda_segmentation.py.

SOURCE, as published (Train.zip, Val.zip and Test.zip, or unpacked):
    Train/{Urban,Rural}/{images_png,masks_png}/*.png
    Val/{Urban,Rural}/{images_png,masks_png}/*.png
    Test/{Urban,Rural}/images_png/*.png

OUT, 9 GB; in masks 0 is no data, which is ignored, and classes count from 1:
    img_dir/{train,val,test}/*.png
    ann_dir/{train,val}/*.png

Example:
    python tools/datasets/loveda.py ~/Downloads/LoveDA data/loveda
"""

from mmest.datasets.preparation.command import main

if __name__ == '__main__':
    main('mmest.datasets.official.loveda', __doc__)
