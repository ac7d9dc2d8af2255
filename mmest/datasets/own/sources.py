"""What the names of images say about their source: copies of one image, tiles of one scene, series."""

import re

from mmest.pictures.formats import ENDINGS

_ENDING = '|'.join(ending[1:] for ending in ENDINGS)
#: Roboflow's augmented copies end with ``.rf.`` and a hash, behind the ending that the source had.
_COPY = re.compile(rf'([._-]({_ENDING}))?\.rf\.[0-9a-f]+', re.I)
_AXIS = '(?:row|col(?:umn)?|[xyrcij])'
_START = '(?<![^/])'  # of the name, in whatever folder
#: scene_0_512, P0001__1024__0___824, scene_x1_y2, scene-row-1-col-2, and x1_y2 in a folder of the scene
_PLACE = re.compile(rf'(?:[_-]+(?:{_AXIS}[_-]*)?\d+|{_START}{_AXIS}[_-]*\d+)(?:[_-]+(?:{_AXIS}[_-]*)?\d+)+$', re.I)
#: scene_r1c2, scene_x1y2, scene_1x2, and r1c2 in a folder of the scene
_JOINED_PLACE = re.compile(rf'(?:(?:[_-]+|{_START})(?:r\d+c|c\d+r|x\d+y|y\d+x|i\d+j|row\d+col)|[_-]+\d+x)\d+$', re.I)
#: scene_aug1, scene_hflip, scene_flip_lr, scene_rot90_2
_CHANGE = re.compile(
    r'[_-]+(?:aug(?:mented)?|[hv]?flip(?:ped)?(?:[_-]?(?:[hvxy]|lr|ud|horizontal|vertical))?|mirror(?:ed)?|'
    r'rot(?:ated?|ation)?|blur(?:red)?|nois[ey]|bright(?:ness)?|contrast)[_-]?\d*(?:[_-]\d+)?$',
    re.I,
)
_NUMBER = re.compile(r'[_-]*\d+$')


def image_of(name: str) -> str:
    """The image that Roboflow made a copy of; another image's own name, without its ending."""
    return _COPY.sub('', name.rsplit('.', 1)[0])


def scene_of(name: str) -> str:
    """The scene of a tile whose name ends with its place, and of a copy whose name ends with how it was changed."""
    scene = image_of(name)
    while True:
        shorter = scene
        for mark in (_CHANGE, _PLACE, _JOINED_PLACE):
            shorter = mark.sub('', shorter)
        if shorter == scene:
            return scene or '.'
        scene = shorter


def series_of(name: str) -> str:
    """What images have in common whose names end with a running number: ``scene`` of ``scene_003``."""
    return _NUMBER.sub('', image_of(name)) or '.'
