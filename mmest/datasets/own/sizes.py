"""How large the images are that a network sees."""

from mmest.datasets.own.cutting import cut, few_scenes
from mmest.datasets.own.no_data import blank
from mmest.datasets.own.sample import OwnData

_WHOLE = 1.25  # images up to this many times the size are not cut
_LARGEST_IN_TILES = 3  # objects of up to this part of a tile's side are mostly whole on one
#: Of training and prediction, where none is asked for: usual patches of overhead images.
DEFAULT_SIZES = dict(detection=800, segmentation=512)


def cut_or_scale(data: OwnData, task: str, size: int | None, seed: int) -> tuple[float, int]:
    """Cut images that are much larger than what the network sees, or scale them all where objects are large too.

    Returns:
        The scale, and the longest side at that scale.
    """
    wanted = size or DEFAULT_SIZES[task]
    longest = max(max(sample.width, sample.height) for sample in data.samples)
    sides = sorted(max(one.box[2] - one.box[0], one.box[3] - one.box[1]) for s in data.samples for one in s.objects)
    large = sides[len(sides) * 9 // 10] if sides else 0
    scale, limit = 1.0, longest
    if data.rasters and few_scenes(data):
        limit = min(wanted, max(longest // 2, 1))  # so that there are parts to train and parts to validate
    elif data.rasters:
        limit = wanted if longest > _WHOLE * wanted else longest
    elif longest > _WHOLE * wanted and large <= wanted / _LARGEST_IN_TILES:
        limit = wanted
    elif longest > _WHOLE * wanted and task == 'detection':
        scale = wanted / longest
        data.notes.say(
            f'images of up to {longest} pixels have objects of {large:.0f}: they are scaled to {wanted} as a whole'
        )
    elif longest > _WHOLE * wanted:
        limit = wanted
    elif size and task == 'detection':
        scale = size / longest
    before = len(data.samples)
    data.notes.say(cut(data, limit, seed))
    if data.rasters:
        empty = {id(one): one.name for one in data.samples if not one.objects and blank(one).all()}
        data.samples = [one for one in data.samples if id(one) not in empty]
        for name in empty.values():
            data.notes.count('tiles without any image (nodata), left out', name)
    if limit < longest and any(sample.window for sample in data.samples):
        data.notes.say(
            f'{before} image{"s" * (before != 1)} of up to {longest} pixels: cut into {len(data.samples)} tiles of '
            f'{limit}'
        )
    longest = max(max(sample.width, sample.height) for sample in data.samples)
    return scale, round(longest * scale)
