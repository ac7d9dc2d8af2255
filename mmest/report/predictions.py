"""Predictions of a run on its validation data, image by image, beside the truth."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from mmengine.runner import Runner

from mmest.engine.launch import build_runner
from mmest.frameworks import framework_of, predicts_oriented
from mmest.pictures.reading import Reading, reading_of
from mmest.tiles.geometry import ORIENTED, STRAIGHT, Geometry, rotated_corners

from .run import Run


@dataclass
class Boxes:
    """Objects of an image: boxes N×4 or N×8 (as ``geometry`` has them), labels N, scores N."""

    boxes: np.ndarray
    labels: np.ndarray
    scores: np.ndarray


@dataclass
class Sample:
    """One validation image.

    Attributes:
        path: the image.
        truth: its objects, or a label map H×W.
        found: the same, as predicted.
        ignored: objects that count neither as found nor as missed; of detection alone.
    """

    path: Path
    truth: Boxes | np.ndarray
    found: Boxes | np.ndarray
    ignored: Boxes | None = None


@dataclass
class Predicted:
    """All validation images of a run; ``geometry`` is None for segmentation, ``palette`` what the data set states,
    ``reading`` how the config has images read.
    """

    classes: tuple[str, ...]
    samples: list[Sample]
    geometry: Geometry | None
    ignore_index: int = 255
    palette: list | None = None
    reading: Reading = field(default_factory=Reading)


def predict_validation(run: Run, folder: Path, progress: Callable[[int, int], None]) -> Predicted:
    """Run the model of a training on its validation data.

    Args:
        run: the training.
        folder: for what mmengine logs.
        progress: called with the number of images done, and of all.

    Raises:
        FileNotFoundError, ValueError: the data or the weights are not there, or do not fit.
    """
    cfg = run.read_config()
    cfg.work_dir, cfg.load_from, cfg.resume = str(folder), str(run.checkpoint), False
    # mmengine hands out visualizers by name: with a backend, a second run would write to the folder of the first.
    cfg.visualizer = dict(type='Visualizer', vis_backends=[])
    cfg.val_dataloader = dict(cfg.val_dataloader, num_workers=0, persistent_workers=False, batch_size=1)
    runner = build_runner(cfg, 'none')
    runner.load_or_resume()
    dataset = runner.val_loop.dataloader.dataset
    classes, palette = tuple(dataset.metainfo['classes']), dataset.metainfo.get('palette')
    reading = reading_of(cfg)
    if not framework_of(cfg).detects:
        ignore = getattr(getattr(runner.model, 'decode_head', None), 'ignore_index', 255)
        return Predicted(classes, list(_maps(runner, progress)), None, ignore, palette, reading)
    geometry = ORIENTED if predicts_oriented(runner.model) else STRAIGHT
    return Predicted(classes, list(_objects(runner, geometry, progress)), geometry, palette=palette, reading=reading)


def _results(runner: Runner, progress: Callable[[int, int], None]) -> Iterator:
    loader = runner.val_loop.dataloader
    runner.model.eval()
    for i, batch in enumerate(loader):
        with torch.no_grad():
            sample = runner.model.val_step(batch)[0]
        yield loader.dataset.get_data_info(i), sample
        progress(i + 1, len(loader))


def _maps(runner: Runner, progress: Callable[[int, int], None]) -> Iterator[Sample]:
    for info, sample in _results(runner, progress):
        maps = (sample.gt_sem_seg.data, sample.pred_sem_seg.data)
        truth, found = (data.squeeze(0).cpu().numpy().astype(np.uint8) for data in maps)
        yield Sample(Path(info['img_path']), truth, found)


def _objects(runner: Runner, geometry: Geometry, progress: Callable[[int, int], None]) -> Iterator[Sample]:
    for info, sample in _results(runner, progress):
        instances = info['instances']
        boxes = np.array([one['bbox'] for one in instances], float).reshape(-1, geometry.columns)
        labels = np.array([one['bbox_label'] for one in instances], int)
        ignored = np.array([one.get('ignore_flag', 0) for one in instances], bool)
        truth, passed_over = (Boxes(boxes[of], labels[of], np.ones(of.sum())) for of in (~ignored, ignored))
        found = sample.pred_instances.cpu().numpy()
        corners = np.asarray(found.bboxes, float)
        yield Sample(
            Path(info['img_path']),
            truth,
            Boxes(rotated_corners(corners) if geometry is ORIENTED else corners, found.labels, found.scores),
            passed_over,
        )
