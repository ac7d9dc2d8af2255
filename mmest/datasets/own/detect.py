"""Which format a user's data has."""

from pathlib import Path

from mmest.datasets.own import coco, georaster, masks, voc, yolo
from mmest.datasets.own.bands import say_unseen_bands
from mmest.datasets.own.prepared_official import official_set
from mmest.datasets.own.results import results_in, visible_files
from mmest.datasets.own.sample import OwnData, image_files, some

#: The surest signs first: rasters with vectors have images too, YOLO's folders have names of masks.
_FORMATS = (georaster, coco, yolo, voc, masks)


def read(path: Path, segments: bool | None = None, bands: tuple[int, ...] | None = None) -> OwnData:
    """Read data of whatever format it has.

    Args:
        path: a folder, or the file that describes it (a COCO JSON, a data.yaml, a GeoPackage, a GeoTIFF).
        segments: whether masks are wanted, where a folder has masks and boxes.
        bands: of the images that are shown; see :class:`mmest.pictures.ImageFile`.

    Raises:
        FileNotFoundError: nothing is there, or images that labels name are missing.
        ValueError: no format is recognised, labels contradict themselves, or an image has no such bands.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f'There is no data "{path}".')
    found = [one for one in _FORMATS if one.finds(path)]
    if segments and masks in found and georaster not in found:
        found = [masks]
    if not found:
        raise ValueError(_unknown(path))
    data = found[0].read(path)
    for name in results_in(data.root):
        data.notes.count('results of mmest, left out (move what you corrected to another folder)', name)
    if not data.samples:
        raise ValueError(f'{path} is {data.format}, but no image of it is labelled.')
    if not data.classes:
        raise ValueError(f'{path} is {data.format}, but it has no object on any image, and so no class.')
    if official := official_set(path):
        title, configs = official
        data.notes.say(
            f'this is {title} as mmest data prepare wrote it: the configs {", ".join(configs)} keep to its protocol, '
            'mmest train --data does not'
        )
    for sample in data.samples:
        sample.bands = bands
    say_unseen_bands(data)
    return data


def _unknown(path: Path) -> str:
    expected = (
        'expected COCO JSON with its images, YOLO text files with data.yaml, Pascal VOC XML, folders "images" and '
        '"masks", or GeoTIFF with GeoPackage, GeoJSON or shapefile'
    )
    if reasons := [*coco.almost(path), *yolo.almost(path)]:
        return f'{"; ".join(reasons[:3])}. The labels of {path} are not known without it: {expected}.'
    if path.is_file():
        return f'{path} is no description of a data set that is known: {expected}.'
    names = [entry.relative_to(path).as_posix() for entry in sorted(visible_files(path))]
    what = f'{len(names)} files ({some(names)}), {len(image_files(path))} of them images' if names else 'no file'
    if ours := results_in(path):
        what += f', beside results of mmest ({some(ours)}), which are no labels where they were written'
    return f'{path} holds {what}, and no labels that are known: {expected}.'
