"""Prepare DIOR, horizontal boxes: COCO files and pictures for configs/_base_/datasets/dior_detection.py.

SOURCE, as published:
    ImageSets/Main/{train,val,test}.txt           or Main/..., in a zip archive or not
    JPEGImages-trainval/*.jpg                      or JPEGImages-trainval.zip
    JPEGImages-test/*.jpg                          or JPEGImages-test.zip
    Annotations/Horizontal Bounding Boxes/*.xml    or Annotations.zip

OUT, 7 GB:
    images/*.jpg
    annotations/{train,val,trainval,test}.json

Example:
    python tools/datasets/dior.py ~/Downloads/DIOR data/dior
"""

from mmest.datasets.preparation.command import main

if __name__ == '__main__':
    main('mmest.datasets.official.dior', __doc__)
