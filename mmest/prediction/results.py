"""Which files a prediction reads and writes, and that none of the user's is lost."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmest.pictures.formats import ENDINGS
from mmest.prediction.options import refuse_other_options

_OF_OBJECTS = ('.geojson', '_coco.json', '_overlay.png')
_OF_GROUND = ('_mask.tif', '_mask.png', '_mask.pgw', '_overlay.png')


def find_images(places: Sequence[Path]) -> list[Path]:
    """Files as they are named, and the images of folders but hidden ones, by name.

    Raises:
        FileNotFoundError: a place is not there, or a folder has no images.
    """
    found: list[Path] = []
    for place in places:
        if not place.exists():
            raise FileNotFoundError(f'The image {place} is not there.')
        inside = [place]
        if place.is_dir():
            shown = (path for path in place.iterdir() if not path.name.startswith('.'))  # as macOS's ._a.png
            inside = sorted(path for path in shown if path.suffix.lower() in ENDINGS and path.is_file())
            if not inside:
                raise FileNotFoundError(f'The folder {place} has no images; they end with {", ".join(ENDINGS)}.')
        found += [path for path in inside if path not in found]
    return found


def check_results(images: Sequence[Path], out: Path, detects: bool, overwrite: bool) -> None:
    """Nothing that is there would be written over.

    Args:
        images: what is read.
        out: the folder to write to.
        detects: whether objects are found, or ground is segmented.
        overwrite: whether files that are not read may be replaced.

    Raises:
        ValueError: two images have results of one name, or a result is there or is an image that is read.
        FileExistsError: ``out`` is a file.
    """
    if out.exists() and not out.is_dir():
        raise FileExistsError(f'The results go to a folder, but {out} is a file; name another one by --out.')
    stems = [image.stem for image in images]
    twice = sorted({stem for stem in stems if stems.count(stem) > 1})
    if twice:
        raise ValueError(
            f'Results are named after their images, and {", ".join(twice)} is there twice; predict them one by one, '
            'into folders of their own (--out).'
        )
    read = {image.resolve() for image in images}
    results = [out / f'{stem}{end}' for stem in stems for end in (_OF_OBJECTS if detects else _OF_GROUND)]
    own = [path for path in results if path.resolve() in read]
    if own:
        raise ValueError(f'{own[0]} is an image to predict, and would be written over; name another folder by --out.')
    there = [path for path in results if path.exists()]
    if there and not overwrite:
        more = f' and {len(there) - 1} more' if len(there) > 1 else ''
        raise ValueError(f'{there[0]}{more} would be written over; name another folder by --out, or pass --overwrite.')


def unfinished(images: Sequence[Path], out: Path, detects: bool, options: Mapping[str, Any]) -> list[Path]:
    """The images whose results are not whole yet.

    Args:
        images: what is read.
        out: the folder of the results.
        detects: whether objects are found, or ground is segmented.
        options: those of this run, by name.

    Raises:
        ValueError: a result is older than its image, or was made with other options, so it is not of this work.
    """
    left = []
    for image in images:
        ends = _OF_OBJECTS if detects else _OF_GROUND
        there = [path for path in (out / f'{image.stem}{end}' for end in ends) if path.exists()]
        old = next((path for path in there if path.stat().st_mtime < image.stat().st_mtime), None)
        if old:
            raise ValueError(
                f'{old} is older than {image}, so it is not of the work to resume; name another folder by --out, or '
                'pass --overwrite instead of --resume.'
            )
        overlay = out / f'{image.stem}_overlay.png'  # written last
        if overlay not in there or len(there) == 1 or overlay.stat().st_mtime < max(p.stat().st_mtime for p in there):
            left.append(image)
        else:
            refuse_other_options(overlay, options)
    return left
