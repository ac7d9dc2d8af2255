"""Writes the data set as a folder that the ordinary COCO and image/mask loaders read."""

import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmest.files import write_bytes

from .canvas import OBJECT_CLASSES, PALETTE
from .domains import DOMAINS
from .scene import Scene, render

# Raise this whenever the same parameters give other pictures or labels.
VERSION = 1
MARKER = 'synthetic.json'
SPLITS = ('train', 'val')


@dataclass(frozen=True)
class _Task:
    folder: str
    domain: str
    split: str
    index: int
    size: int
    seed: int


def scene_seed(seed: int, domain: str, split: str, index: int) -> list[int]:
    """The seed of one picture: it depends on nothing else, so a subset is drawn as the whole is."""
    return [seed, list(DOMAINS).index(domain), SPLITS.index(split), index]


def parameters(images: dict[str, dict[str, int]], size: int, seed: int) -> dict:
    """What the content of a folder depends on; it is what the marker holds."""
    return dict(version=VERSION, images=images, size=size, seed=seed)


def is_complete(out: str | os.PathLike, images: dict[str, dict[str, int]], size: int = 128, seed: int = 0) -> bool:
    """Whether ``out`` holds the data set of these parameters, written to its end by this version."""
    try:
        return json.loads((Path(out) / MARKER).read_text()) == parameters(images, size, seed)
    except (OSError, ValueError):
        return False


def write_dataset(
    out: str | os.PathLike,
    images: dict[str, dict[str, int]],
    size: int = 128,
    seed: int = 0,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> bool:
    """Draw the data set into a folder, unless it is there already.

    Per domain: ``images/{train,val}/NNNNN.png``, ``masks/{train,val}/NNNNN.png`` (index into CLASSES, with a palette)
    and ``annotations/{train,val}.json`` (COCO boxes of OBJECT_CLASSES). It is written beside ``out`` and renamed.

    Args:
        out: folder of the data set. A folder that this function did not write is never replaced.
        images: number of pictures per domain and split, such as ``dict(source=dict(train=64, val=16))``.
        size: side of the pictures, in pixels.
        seed: another seed gives another data set.
        workers: Processes; by default one per core.
        progress: called with (pictures done, pictures in all).

    Returns:
        Whether anything was written.

    Raises:
        FileExistsError: ``out`` holds something else.
        ValueError: ``images`` names an unknown domain or split, or ``size`` is too small for the scenes.
    """
    out = Path(out)
    _check(images, size)
    if is_complete(out, images, size, seed):
        return False
    if out.exists() and not (out / MARKER).exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(
            f'Expected "{out}" to be free or to hold an earlier synthetic data set, but it holds '
            f'something else (no {MARKER} in it). Choose another folder, or remove it yourself.'
        )
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f'.{out.name}.', dir=out.parent))
    try:
        _draw_all(beside, images, size, seed, workers or os.cpu_count() or 1, progress)
        (beside / MARKER).write_text(json.dumps(parameters(images, size, seed), indent=2) + '\n')
        beside.chmod(0o755)
        if out.exists():
            shutil.rmtree(out)
        beside.rename(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return True


def _check(images: dict[str, dict[str, int]], size: int) -> None:
    for domain, splits in images.items():
        for split in splits:
            if domain not in DOMAINS or split not in SPLITS:
                raise ValueError(
                    f'The synthetic data set has the domains {", ".join(DOMAINS)} with the splits '
                    f'{", ".join(SPLITS)}, but {domain}/{split} was asked for.'
                )
    if size < 64:
        raise ValueError(f'size should be at least 64 pixels, or no scene fits in, but it is {size}.')


def _draw_all(folder: Path, images, size: int, seed: int, workers: int, progress) -> None:
    tasks = []
    for domain, splits in images.items():
        for split, count in splits.items():
            for kind in ('images', 'masks'):
                (folder / domain / kind / split).mkdir(parents=True)
            tasks += [_Task(str(folder), domain, split, index, size, seed) for index in range(count)]
    annotations: dict[tuple[str, str], list] = {(t.domain, t.split): [] for t in tasks}
    with ExitStack() as stack:
        drawn = map(_draw, tasks)
        if workers > 1:
            # Not forked from here: a process whose libraries run threads may hang in its fork. Imports are done once.
            context = get_context('forkserver')
            context.set_forkserver_preload([__name__])
            pool = stack.enter_context(
                ProcessPoolExecutor(workers, context, initializer=cv2.setNumThreads, initargs=(1,))
            )
            drawn = pool.map(_draw, tasks, chunksize=4)
        for done, (task, boxes) in enumerate(drawn, start=1):
            annotations[task.domain, task.split].append((task.index, boxes))
            if progress is not None:
                progress(done, len(tasks))
    for (domain, split), found in annotations.items():
        path = folder / domain / 'annotations' / f'{split}.json'
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(_coco(found, size)))


def _draw(task: _Task) -> tuple[_Task, list]:
    scene = render(DOMAINS[task.domain], scene_seed(task.seed, task.domain, task.split, task.index), task.size)
    for kind, encoded in (('images', _encode(scene.image[..., ::-1])), ('masks', _encode_mask(scene))):
        write_bytes(Path(task.folder) / task.domain / kind / task.split / f'{task.index:05d}.png', encoded)
    return task, scene.boxes()


def _encode(picture: np.ndarray) -> bytes:
    return cv2.imencode('.png', picture)[1].tobytes()


def _encode_mask(scene: Scene) -> bytes:
    mask = Image.fromarray(scene.semantic).convert('P')
    mask.putpalette([channel for colour in PALETTE for channel in colour])
    stream = io.BytesIO()
    mask.save(stream, 'PNG')
    return stream.getvalue()


def _coco(found: list, size: int) -> dict:
    annotations = [
        dict(id=0, image_id=index, category_id=category, bbox=list(box), area=area, iscrowd=0)
        for index, boxes in found
        for category, box, area in boxes
    ]
    for number, annotation in enumerate(annotations, start=1):
        annotation['id'] = number
    return dict(
        images=[dict(id=index, file_name=f'{index:05d}.png', width=size, height=size) for index, _ in found],
        annotations=annotations,
        categories=[dict(id=number, name=name) for number, name in enumerate(OBJECT_CLASSES)],
    )
