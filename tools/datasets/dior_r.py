"""Prepare DIOR-R, oriented boxes: COCO files and pictures for configs/_base_/datasets/dior_oriented.py.

SOURCE, as published:
    ImageSets/Main/{train,val,test}.txt           or Main/..., in a zip archive or not
    JPEGImages-trainval/*.jpg                      or JPEGImages-trainval.zip
    JPEGImages-test/*.jpg                          or JPEGImages-test.zip
    Annotations/Oriented Bounding Boxes/*.xml      or Annotations.zip

OUT, 7 GB:
    images/*.jpg
    annotations/{train,val,trainval,test}.json     corners under "segmentation"

Example:
    python tools/datasets/dior_r.py ~/Downloads/DIOR data/dior_r
"""

from mmest.datasets.preparation.command import main

if __name__ == '__main__':
    main('mmest.datasets.official.dior_r', __doc__)
