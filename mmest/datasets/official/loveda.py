"""LoveDA: 1024-pixel images of urban and rural ground, png masks; 0 is no data, classes count from 1.

Checked images and masks for configs/_base_/datasets/loveda_segmentation.py.

SOURCE, as published (Train.zip, Val.zip and Test.zip, or unpacked):
    Train/{Urban,Rural}/{images_png,masks_png}/*.png
    Val/{Urban,Rural}/{images_png,masks_png}/*.png
    Test/{Urban,Rural}/images_png/*.png

OUT, 9 GB; in masks 0 is no data, which is ignored, and classes count from 1:
    img_dir/{train,val,test}/*.png
    ann_dir/{train,val}/*.png

Example:
    mmest data prepare loveda ~/Downloads/LoveDA data/loveda
"""

from pathlib import Path

from mmest.datasets.preparation.choice import one_each
from mmest.datasets.preparation.images import open_image, read_numbers
from mmest.datasets.preparation.masks import pixels_per_class
from mmest.datasets.preparation.problems import DamagedInput, Problem
from mmest.datasets.preparation.source import SourceFile
from mmest.datasets.preparation.work import Done, Job
from mmest.files import write_bytes

TITLE, VERSION, UNIT = 'LoveDA', 1, 'pixels'
CLASSES = ('background', 'building', 'road', 'water', 'barren', 'forest', 'agricultural')
OFFICIAL = dict(train=dict(images=2522), val=dict(images=1669), test=dict(images=1796))


def plan(files: list[SourceFile]) -> tuple[list[Job], list[Problem]]:
    jobs: list[Job] = []
    problems: list[Problem] = []
    seen: dict[str, SourceFile] = {}
    found = one_each(
        (
            ((parts, file.stem), file)
            for file in files
            if len(parts := tuple(map(str.lower, file.parts[-4:-1]))) == 3
            and file.suffix == '.png'
            and parts[0] in OFFICIAL
            and parts[1] in ('urban', 'rural')
        ),
        (),
        problems,
    )
    for (parts, stem), file in found.items():
        split, domain, kind = parts
        if file is None:
            continue
        if kind == 'masks_png' and ((split, domain, 'images_png'), stem) not in found:
            problems.append(Problem(file.place, f'has no picture {split}/{domain}/images_png/{stem}.png'))
        if kind != 'images_png':
            continue
        place_of_mask = ((split, domain, 'masks_png'), stem)
        mask = found.get(place_of_mask)
        key = f'{split}/{stem}'
        if split != 'test' and place_of_mask not in found:
            problems.append(Problem(file.place, f'has no mask {split}/{domain}/masks_png/{stem}.png; left out'))
        elif key in seen:
            problems.append(Problem(file.place, f'has the name of {seen[key].place}; left out'))
        elif mask or split == 'test':
            seen[key] = file
            jobs.append(Job(key, split, file, mask))
    if not jobs:
        raise ValueError(
            'No pictures were found: LoveDA has Train, Val and Test, each with Urban and Rural, each with '
            'images_png/*.png, and masks_png/*.png in the first two.'
        )
    return jobs, problems


def convert(job: Job, out: Path) -> Done:
    name = f'{job.key}.png'
    done = Done(outputs=[f'img_dir/{name}'], counts=dict(images=1))
    with open_image(job.picture, out) as image:
        size = image.size
    if job.label:
        mask = read_numbers(job.label)
        if mask.shape != size[::-1]:
            raise DamagedInput(
                f'has {size[0]}×{size[1]} pixels, but its mask {job.label.place} has the shape {mask.shape}'
            )
        if mask.max() > len(CLASSES):
            raise DamagedInput(f'has the mask {job.label.place}, in which the value {mask.max()} stands for no class')
        done.classes = pixels_per_class(mask, dict(enumerate(CLASSES, start=1)))
        done.outputs.append(f'ann_dir/{name}')
        write_bytes(out / done.outputs[1], job.label.read())
    write_bytes(out / done.outputs[0], job.picture.read())
    return done


def finish(out: Path, done: list[tuple[Job, Done]]) -> None:
    """The folders are all that the loader reads."""
