"""What DIOR and DIOR-R share: lists of names, and which picture and annotation a name means."""

from mmest.datasets.preparation.choice import one_each, the_one
from mmest.datasets.preparation.problems import DamagedInput, Problem
from mmest.datasets.preparation.source import SourceFile
from mmest.datasets.preparation.work import Job
from mmest.datasets.text import decode

# An image of several lists stays in the last of them: what is scored was not trained on.
SPLITS = ('train', 'val', 'test')
_HORIZONTAL, _ORIENTED = 'horizontal bounding boxes', 'oriented bounding boxes'
_FOLDERS = {'imagesets', 'main', 'jpegimages-trainval', 'jpegimages-test', 'annotations', _HORIZONTAL, _ORIENTED}


def plan(files: list[SourceFile], oriented: bool) -> tuple[list[Job], list[Problem]]:
    """A job for each image that is in a list.

    Args:
        files: the download.
        oriented: whether boxes have to be; else oriented ones are taken where an image has no others.
    """
    problems: list[Problem] = []
    lists = one_each(
        ((file.stem.lower(), file) for file in files if file.stem.lower() in SPLITS and file.suffix == '.txt'),
        _FOLDERS,
        problems,
    )
    if not lists:
        raise ValueError(
            'No list of a split was found: DIOR has ImageSets/Main/train.txt, val.txt and test.txt beside '
            'JPEGImages-trainval, JPEGImages-test and Annotations/Horizontal Bounding Boxes.'
        )
    problems += [
        Problem(f'{split}.txt', 'this list of ImageSets/Main is missing') for split in SPLITS if split not in lists
    ]
    names = _names_by_split(lists, problems)
    listed = {name for found in names.values() for name in found}
    pictures = one_each(
        ((file.stem, file) for file in files if file.suffix == '.jpg' and file.stem in listed), _FOLDERS, problems
    )
    labels: dict[str, list[SourceFile]] = {name: [] for name in listed}
    for file in files:
        if file.suffix == '.xml' and file.stem in listed:
            labels[file.stem].append(file)
    jobs = []
    for split, found in names.items():
        for name in found:
            if name not in pictures:
                problems.append(Problem(f'{name}.jpg', f'is named in {split}.txt, but is missing'))
            elif picture := pictures[name]:
                label = _label(name, labels[name], oriented, problems)
                jobs += [Job(name, split, picture, label)] if label else []
    return jobs, problems


def _names_by_split(lists: dict[str, SourceFile | None], problems: list[Problem]) -> dict[str, list[str]]:
    names = {split: _names(file, problems) for split in SPLITS if (file := lists.get(split))}
    later: dict[str, str] = {}
    for split in reversed(names):
        twice = [name for name in names[split] if name in later]
        if twice:
            problems.append(
                Problem(
                    f'{split}.txt',
                    f'names {len(twice)} images of another list too, such as {twice[0]} of {later[twice[0]]}.txt; '
                    'left out here',
                )
            )
        names[split] = [name for name in names[split] if name not in later]
        later.update(dict.fromkeys(names[split], split))
    return names


def _names(file: SourceFile, problems: list[Problem]) -> list[str]:
    """The names in the list of a split, each once; lines that are no names are listed among the problems."""
    try:
        lines = [line.strip() for line in decode(file.read()).splitlines() if line.strip()]
    except (DamagedInput, ValueError) as error:
        problems.append(Problem(file.place, f'this list {error}; its images are left out'))
        return []
    other = [line for line in lines if ' ' in line or '\t' in line or line.lower().endswith('.jpg')]
    if other:
        problems.append(
            Problem(
                file.place,
                f'{len(other)} of {len(lines)} lines are not the name of an image without ending, such as '
                f'"{other[0]}"; left out',
            )
        )
    return list(dict.fromkeys(line for line in lines if line not in other))


def _label(name: str, files: list[SourceFile], oriented: bool, problems: list[Problem]) -> SourceFile | None:
    """The annotation of an image; why there is none is added to the problems."""
    if not oriented and len(files) == 1:
        return files[0]
    kinds = [_is_oriented(file) for file in files]
    for kind in (oriented, None, *(() if oriented else (True,))):
        if kind in kinds:
            return the_one([file for file, other in zip(files, kinds) if other is kind], _FOLDERS, problems)
    problems.append(
        Problem(f'{name}.xml', f'is missing{" with oriented boxes" if oriented else ""}; the image is left out')
    )
    return None


def _is_oriented(file: SourceFile) -> bool | None:
    """By its boxes: copies have the folders under other names. Where it has none, as when it is damaged, by the
    publisher's folders; None where those do not tell either.
    """
    try:
        content = file.read().replace(b'\0', b'')  # of UTF-16
    except DamagedInput:
        content = b''
    if b'<robndbox' in content or b'<bndbox' in content:
        return b'<robndbox' in content
    folders = {part.lower() for part in file.parts}
    return _ORIENTED in folders if {_HORIZONTAL, _ORIENTED} & folders else None
