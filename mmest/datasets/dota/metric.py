"""Score of whole DOTA pictures from detections in patches."""

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmdet.evaluation import eval_map
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmengine.registry import METRICS

from mmest.datasets.dota.patches import parse_patch_name
from mmest.datasets.dota.submission import write_task
from mmest.datasets.dota.voc import match_oriented
from mmest.tiles.geometry import ORIENTED, STRAIGHT, Geometry, rotated_corners
from mmest.tiles.merge import merge_patches


@METRICS.register_module()
class DOTABoxMetric(BaseMetric):
    """Merges the detections of the patches, and scores them as DOTA's development kit does: PASCAL VOC's AP at 11
    points, IoU 0.5, difficult objects ignored. Task 1 is about oriented boxes, Task 2 about straight ones.

    Args:
        ann_file: ``annotations/<split>_images.json`` of the preparation. None: nothing is scored.
        submission: folder for the server's files, ``Task1.zip`` and ``Task2.zip``. None: they are not written.
        iou: agreement from which on detections of two patches are one.
        oriented: whether detections are rotated boxes (middle, width, height, radians) or four corners, for Task 1.
        kwargs: see :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = 'dota'

    def __init__(
        self,
        ann_file: str | None = None,
        submission: str | None = None,
        iou: float = 0.5,
        oriented: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.ann_file, self.submission, self.iou = ann_file, submission, iou
        self.geometry = ORIENTED if oriented else STRAIGHT

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            picture, x, y = parse_patch_name(Path(sample['img_path']).name)
            height, width = sample['ori_shape'][:2]
            found = sample['pred_instances']
            boxes = found['bboxes'].cpu().numpy().astype(float)
            if boxes.shape[1] == 5:
                boxes = rotated_corners(boxes)
            self.results.append(
                dict(
                    picture=picture,
                    patch=[x, y, x + width, y + height],
                    boxes=boxes + np.tile([x, y], boxes.shape[1] // 2),
                    scores=found['scores'].cpu().numpy(),
                    labels=found['labels'].cpu().numpy(),
                )
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        classes = self.dataset_meta['classes']
        by_picture = defaultdict(list)
        for result in results:
            by_picture[result['picture']].append(result)
        merged = {
            picture: merge_patches(patches, len(classes), self.iou, self.geometry)
            for picture, patches in sorted(by_picture.items())
        }
        metrics = dict(pictures=len(merged), boxes=sum(len(rows) for found in merged.values() for rows in found))
        if self.submission:
            for task, form in ((1, self.geometry.corners), (2, self.geometry.bounds)):
                write_task(
                    Path(self.submission),
                    task,
                    classes,
                    {
                        picture: [np.hstack([form(rows[:, :-1]), rows[:, -1:]]) for rows in found]
                        for picture, found in merged.items()
                    },
                )
        if self.ann_file:
            metrics['AP50'] = score(merged, json.loads(Path(self.ann_file).read_text()), classes, self.geometry)
        return metrics


def score(merged: dict[str, list[np.ndarray]], truth: dict, classes: Sequence[str], geometry: Geometry) -> float:
    """Mean AP50 over the classes, in percent; a table of the classes goes to the log. Classes are matched by name."""
    numbers = {one['id']: classes.index(one['name']) for one in truth['categories'] if one['name'] in classes}
    objects = defaultdict(list)
    for one in truth['annotations']:
        if one['category_id'] in numbers:
            objects[one['image_id']].append(dict(one, label=numbers[one['category_id']]))
    annotations, detections = [], []
    for image in truth['images']:
        annotations.append(_annotation(objects[image['id']], geometry))
        detections.append(
            merged.get(Path(image['file_name']).stem, [np.zeros((0, geometry.columns + 1))] * len(classes))
        )
    mean, _ = eval_map(
        detections,
        annotations,
        iou_thr=0.5,
        dataset=classes,
        logger=MMLogger.get_current_instance(),
        eval_mode='11points',
        use_legacy_coordinate=True,
        tpfp_fn=match_oriented if geometry is ORIENTED else None,
    )
    return 100 * float(mean)


def _annotation(objects: list[dict], geometry: Geometry) -> dict[str, np.ndarray]:
    """As :func:`mmdet.evaluation.eval_map` wants it."""
    if geometry is ORIENTED:
        boxes = np.array([one['segmentation'][0] for one in objects], dtype=np.float32).reshape(-1, 8)
    else:
        corner = np.array([one['bbox'] for one in objects], dtype=np.float32).reshape(-1, 4)
        boxes = np.hstack([corner[:, :2], corner[:, :2] + corner[:, 2:]])
    labels = np.array([one['label'] for one in objects], dtype=int)
    difficult = np.array([one['iscrowd'] for one in objects], dtype=bool)
    return dict(
        bboxes=boxes[~difficult],
        labels=labels[~difficult],
        bboxes_ignore=boxes[difficult],
        labels_ignore=labels[difficult],
    )
