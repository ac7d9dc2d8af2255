"""Prepare ISPRS Vaihingen: patches of 512 pixels for
configs/_base_/datasets/vaihingen_{six,five}-classes_segmentation.py.

SOURCE, as published (Vaihingen.zip, or the archives in it, or unpacked):
    ISPRS_semantic_labeling_Vaihingen.zip                                 top/top_mosaic_09cm_area*.tif
    ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE.zip    top_mosaic_09cm_area*_noBoundary.tif

OUT, 0.4 GB; in masks 0 is the boundary of objects, which is ignored, and classes count from 1:
    img_dir/{train,val}/<area>_<x0>_<y0>_<x1>_<y1>.png
    ann_dir/{train,val}/<area>_<x0>_<y0>_<x1>_<y1>.png

Example:
    python tools/datasets/vaihingen.py ~/Downloads/Vaihingen data/vaihingen
"""

from mmest.datasets.preparation.command import main

if __name__ == '__main__':
    main('mmest.datasets.official.vaihingen', __doc__)
