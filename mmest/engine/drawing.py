"""Pictures of predictions, of detectors and segmentors alike."""

import os
from collections.abc import Sequence
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmest.datasets.own.results import note_results, noted_results
from mmest.files import naming
from mmest.pictures import ImageFile
from mmest.pictures.reading import reading_of


class PredictionPictures(Hook):
    """Draws every image of a test with its prediction, beside its ground truth, as a PNG file of the image's name, in
    folders as those of the images.

    It is registered with a runner, not named in its config, which stays that of the training.

    Args:
        folder: where the pictures go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._pictures: dict[str, Path] = {}

    def before_test(self, runner: Runner) -> None:
        """Nothing is written over but pictures of an earlier test.

        Raises:
            ValueError: a file of another kind is there.
        """
        dataset = runner.test_dataloader.dataset
        images = [str(dataset.get_data_info(number)['img_path']) for number in range(len(dataset))]
        self._pictures = {image: self.folder / name for image, name in picture_names(images).items()}
        noted = {folder: noted_results(folder) for folder in {path.parent for path in self._pictures.values()}}
        theirs = [path for path in self._pictures.values() if path.name not in noted[path.parent] and path.exists()]
        if theirs:
            more = f' and {len(theirs) - 1} more' if len(theirs) > 1 else ''
            raise ValueError(
                f'{theirs[0]}{more} would be written over, and is no picture that mmest test drew; name another folder '
                'by --show-dir.'
            )

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: Sequence[BaseDataElement] = ()
    ) -> None:
        for sample in outputs:
            path = Path(sample.img_path)
            with ImageFile(path, **reading_of(runner.cfg)) as opened:
                image = opened.read()
            picture = self._pictures[str(sample.img_path)]
            note_results([picture])
            with naming(picture):
                runner.visualizer.add_datasample(path.stem, image, sample, out_file=str(picture))


def picture_names(images: Sequence[str]) -> dict[str, str]:
    """A PNG file for each image: its path below the folder that all lie in. The image's own ending stays in front of
    ``.png`` where two images differ by it alone.
    """
    root = os.path.commonpath([os.path.dirname(os.path.abspath(image)) for image in images])
    below = {image: os.path.relpath(image, root) for image in images}
    short = {image: f'{os.path.splitext(name)[0]}.png' for image, name in below.items()}
    if len(set(short.values())) == len(short):
        return short
    return {image: f'{name}.png' for image, name in below.items()}
