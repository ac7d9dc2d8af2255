"""The image files that COCO JSON names."""

import unicodedata
from collections import defaultdict
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from mmest.datasets.own.sample import IMAGE_FOLDERS, Notes, image_files, some, split_of


def _composed(name: str) -> str:
    """With one character for a letter and its accent: file names of macOS have two."""
    return unicodedata.normalize('NFC', name)


class Named(NamedTuple):
    """An image as an annotation file names it.

    Attributes:
        path: its name, with ``/``.
        file: the annotation file.
        split: of that file.
    """

    path: PurePosixPath
    file: Path
    split: str | None


def named_image(image: dict, file: Path, split: str | None) -> Named:
    return Named(PurePosixPath(_composed(str(image['file_name']).replace('\\', '/').split('?')[0])), file, split)


class Images:
    """Finds image files by the names that annotation files give them.

    Args:
        root: the folder of the data.
        named: all images that are named.
        notes: what is missing is counted here.
    """

    def __init__(self, root: Path, named: list[Named], notes: Notes) -> None:
        self.root, self._notes = root, notes
        self._files = image_files(root)
        self._by_path = {_composed(path.relative_to(root).as_posix()): path for path in self._files}
        self._by_name: dict[str, list[Path]] = defaultdict(list)
        for path in self._files:
            self._by_name[_composed(path.name)].append(path)
        self._stated: dict[str, set[Named]] = defaultdict(set)
        for image in named:
            self._stated[image.path.name].add(image)
        self._taken = {self._in_place(image) for image in named}
        self._missing: list[str] = []
        self._used: set[Path] = set()

    def find(self, image: Named) -> Path | None:
        """The file, looked for where tools put images; None is counted as missing."""
        path = self._in_place(image) or self._elsewhere(image)
        if path is None:
            self._missing.append(str(image.path))
        else:
            self._used.add(path)
        return path

    def _in_place(self, image: Named) -> Path | None:
        """The file of the whole name."""
        here = Path(_composed(image.file.parent.relative_to(self.root).as_posix()))
        folders = [here, Path('.'), Path('images'), here / 'images']
        words = [image.split, image.file.stem.removeprefix('instances_'), dict(val='valid').get(image.split or '')]
        folders += [folder / word for word in words if word for folder in (Path('images'), Path('.'))]
        tried = ((folder / image.path).as_posix() for folder in folders)
        return next((self._by_path[path] for path in tried if path in self._by_path), None)

    def _elsewhere(self, image: Named) -> Path | None:
        """The one file of this name in another folder, if no other image may be meant.

        Raises:
            ValueError: there are several.
        """
        same = (path for path in self._by_name[image.path.name] if path not in self._taken)
        found = [path for path in same if self._may_mean(image, path) and len(self._claims(path)) == 1]
        if len(found) > 1:
            raise ValueError(
                f'{image.file} names the image {image.path}, and there are {len(found)} of that name: '
                f'{some([str(path.relative_to(self.root)) for path in found])}. Write the path below the folder.'
            )
        if found and len(image.path.parts) > 1:
            said = f'{image.path} as {found[0].relative_to(self.root)}'
            self._notes.count('images found by their name, in another folder than is stated', said)
        return found[0] if found else None

    def _claims(self, path: Path) -> set[PurePosixPath]:
        """The stated paths that may mean a file."""
        name = _composed(path.name)
        return {image.path for image in self._stated[name] if self._may_mean(image, path)}

    def _may_mean(self, image: Named, path: Path) -> bool:
        """Whether no folder speaks against it: one that only the file lies in, or one of another split."""
        stated = image.path.parent.parts
        folders = tuple(map(_composed, path.relative_to(self.root).parent.parts))
        said = split_of(*reversed(stated), *image.file.relative_to(self.root).parent.parts)
        if said and split_of(*folders) not in (None, said):
            return False
        told = [part for part in folders if part.lower() not in IMAGE_FOLDERS and not split_of(part)]
        return not stated or set(told) <= set(stated)

    def check(self) -> None:
        """Say what is missing and what is not labelled."""
        if len(self._missing) > len(self._used):
            raise FileNotFoundError(
                f'{len(self._missing)} of {len(self._missing) + len(self._used)} images that the annotations name are '
                f'not below {self.root}: {some(self._missing)}. Put them there, as the export has them.'
            )
        for name in self._missing:
            self._notes.count('images that are named but not there', name)
        for path in self._files:
            if path not in self._used:
                self._notes.count(
                    'images that no annotation file names, left out', path.relative_to(self.root).as_posix()
                )
