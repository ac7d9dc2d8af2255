"""Prepare DOTA v1.0: patches of 1024 pixels that overlap by 200, for configs/_base_/datasets/dota_detection.py and
dota_oriented.py.

SOURCE, as published (images and labels in zip archives or not; horizontal labels are made here):
    train/images/*.png    train/labelTxt/*.txt
    val/images/*.png      val/labelTxt/*.txt
    test/images/*.png

OUT, about 60 GB:
    {train,val,test}/<picture>__<x>__<y>.png
    annotations/{train,val,test}_patches.json     what each patch shows, with corners; pieces of objects and difficult
    ones are ignored annotations/{train,val,test}_images.json      the whole pictures, which scores are about

Example:
    python tools/datasets/dota.py ~/Downloads/DOTA data/dota
"""

from mmest.datasets.preparation.command import main

if __name__ == '__main__':
    main('mmest.datasets.official.dota', __doc__)
