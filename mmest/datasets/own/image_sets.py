"""The lists of ImageSets, by which VOCdevkit and tools that write its layout say the splits."""

from pathlib import Path

from mmest.datasets.own.sample import Notes, some, split_of
from mmest.datasets.text import decode
from mmest.pictures.formats import ENDINGS


def listed_splits(path: Path, kind: str, known: set[str], notes: Notes) -> dict[str, str]:
    """The split of each name in the lists.

    Args:
        path: the folder of the data.
        kind: the folder below ImageSets: ``Main`` or ``Segmentation``.
        known: names that there are, without ending.
        notes: names of the lists that are not among them are counted here.

    Raises:
        ValueError: a list is no text, or no name of any list is known: the lists mean something else.
    """
    splits: dict[str, str] = {}
    files, lost = [], {}
    for file in sorted(path.glob(f'**/ImageSets/{kind}/*.txt')):
        # Main has lists of single classes too: train_val.txt validates the class "train".
        split = split_of(file.stem) if kind != 'Main' or file.stem.isalpha() else None
        if split is None:
            continue
        files.append(file)
        for line in _lines(file):
            words = line.split()  # behind the name may be a number, or that of the mask
            names = (_without_ending(' '.join(words[:count])) for count in range(len(words), 0, -1))
            name = next((name for name in names if name in known), None)
            if name is None:
                lost[_without_ending(line)] = None
            else:
                splits.setdefault(name, split)
    if lost and not splits:
        raise ValueError(
            f'None of the {len(lost)} names in {some(files)} is that of an image: {some(list(lost))}. Write the '
            'name of an image in each line, or remove the lists.'
        )
    for name in lost:
        notes.count('names in lists of ImageSets without an image', name)
    return splits


def _lines(file: Path) -> list[str]:
    try:
        text = decode(file.read_bytes())
    except ValueError as error:
        raise ValueError(f'The list {file} {error}. Save it as UTF-8.') from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _without_ending(name: str) -> str:
    path = Path(name.replace('\\', '/'))
    return path.stem if path.suffix.lower() in ENDINGS else path.name
