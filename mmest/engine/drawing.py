"""Pictures of predictions, of detectors and segmentors alike."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmest.pictures import ImageFile


class PredictionPictures(Hook):
    """Draws every image of a test with its prediction, beside its ground truth, as a PNG file of the image's name.

    It is registered with a runner, not named in its config, which stays that of the training.

    Args:
        folder: where the pictures go.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: Sequence[BaseDataElement] = ()
    ) -> None:
        for sample in outputs:
            path = Path(sample.img_path)
            with ImageFile(path, scale=runner.cfg.get('image_scale')) as opened:
                image = opened.read()
            runner.visualizer.add_datasample(path.stem, image, sample, out_file=str(self.folder / f'{path.stem}.png'))
