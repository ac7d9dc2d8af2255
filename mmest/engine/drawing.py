"""Pictures of predictions, of detectors and segmentors alike."""

from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmest.frameworks import framework_of
from mmest.pictures import ImageFile


@HOOKS.register_module()
class PredictionPictures(Hook):
    """Draws every image of a test with its prediction, beside its ground truth, as a PNG file of the image's name.

    Args:
        folder: where the pictures go.
    """

    def __init__(self, folder: str) -> None:
        self.folder = Path(folder)

    def after_test_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: Sequence[BaseDataElement] = ()
    ) -> None:
        for sample in outputs:
            path = Path(sample.img_path)
            with ImageFile(path, scale=runner.cfg.get('image_scale')) as opened:
                image = opened.read()
            runner.visualizer.add_datasample(path.stem, image, sample, out_file=str(self.folder / f'{path.stem}.png'))


def draw_predictions(cfg: Config, folder: Path) -> None:
    """Have testing draw into a folder; a config without a visualizer gets that of its framework."""
    cfg.custom_hooks = [*cfg.get('custom_hooks', []), dict(type='PredictionPictures', folder=str(folder))]
    if not cfg.get('visualizer'):
        cfg.visualizer = dict(type=framework_of(cfg).visualizer)
