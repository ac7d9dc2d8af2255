"""Prepare ISPRS Potsdam: patches of 512 pixels for configs/_base_/datasets/potsdam_{six,five}-classes_segmentation.py.

SOURCE, as published (Potsdam.zip, or the archives in it, or unpacked):
    2_Ortho_RGB.zip                 top_potsdam_*_RGB.tif
    5_Labels_all_noBoundary.zip     top_potsdam_*_label_noBoundary.tif

OUT, 3 GB; in masks 0 is the boundary of objects, which is ignored, and classes count from 1:
    img_dir/{train,val}/<tile>_<x0>_<y0>_<x1>_<y1>.png
    ann_dir/{train,val}/<tile>_<x0>_<y0>_<x1>_<y1>.png

Example:
    python tools/datasets/potsdam.py ~/Downloads/Potsdam data/potsdam
"""

from mmest.datasets.preparation.command import main

if __name__ == '__main__':
    main('mmest.datasets.official.potsdam', __doc__)
