"""Score of whole DOTA pictures from detections in patches."""
import json
from collections import defaultdict
from pathlib import Path
from typing import Dict, List, Optional, Sequence

import numpy as np
from mmdet.evaluation import eval_map
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger
from mmengine.registry import METRICS

from mmest.datasets.dota.merge import merge
from mmest.datasets.dota.patches import parse_patch_name
from mmest.datasets.dota.submission import corners, write_task1, write_task2


@METRICS.register_module()
class DOTABoxMetric(BaseMetric):
    """Merges the detections of the patches, and scores them as DOTA's development kit does Task 2: PASCAL VOC's AP at 11
    points, IoU 0.5, difficult objects ignored.

    Args:
        ann_file: ``annotations/<split>_images.json`` of the preparation. None: nothing is scored.
        submission: folder for the server's files, ``Task1.zip`` and ``Task2.zip``. None: they are not written.
        iou: agreement from which on detections of two patches are one.
        kwargs: see :class:`mmengine.evaluator.BaseMetric`.
    """
    default_prefix = 'dota'

    def __init__(self, ann_file: Optional[str] = None, submission: Optional[str] = None, iou: float = 0.5, **kwargs) -> None:
        super().__init__(**kwargs)
        self.ann_file, self.submission, self.iou = ann_file, submission, iou

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            picture, x, y = parse_patch_name(Path(sample['img_path']).name)
            height, width = sample['ori_shape'][:2]
            found = sample['pred_instances']
            self.results.append(dict(
                picture=picture, patch=[x, y, x + width, y + height],
                boxes=found['bboxes'].cpu().numpy().astype(float) + [x, y, x, y], scores=found['scores'].cpu().numpy(),
                labels=found['labels'].cpu().numpy()))

    def compute_metrics(self, results: List[dict]) -> Dict[str, float]:
        classes = self.dataset_meta['classes']
        by_picture = defaultdict(list)
        for result in results:
            by_picture[result['picture']].append(result)
        merged = {picture: merge_patches(patches, len(classes), self.iou) for picture, patches in sorted(by_picture.items())}
        metrics = dict(pictures=len(merged), boxes=sum(len(rows) for found in merged.values() for rows in found))
        if self.submission:
            folder = Path(self.submission)
            write_task1(folder / 'Task1.zip', classes, {key: [corners(rows) for rows in found] for key, found in merged.items()})
            write_task2(folder / 'Task2.zip', classes, merged)
        if self.ann_file:
            metrics['AP50'] = score(merged, json.loads(Path(self.ann_file).read_text()), classes)
        return metrics


def merge_patches(patches: Sequence[dict], classes: int, iou: float = 0.5) -> List[np.ndarray]:
    """Detections of one picture, for each class N×5 with x0, y0, x1, y1, score.

    Args:
        patches: of each patch of the picture ``patch`` (x0, y0, x1, y1), ``boxes``, ``scores`` and ``labels``.
        classes: their number.
        iou: see :func:`mmest.datasets.dota.merge.merge`.
    """
    extents = np.array([patch['patch'] for patch in patches])
    boxes, scores, labels = (np.concatenate([patch[key] for patch in patches]) for key in ('boxes', 'scores', 'labels'))
    owners = np.repeat(np.arange(len(patches)), [len(patch['scores']) for patch in patches])
    found = []
    for label in range(classes):
        chosen = labels == label
        found.append(np.column_stack(merge(boxes[chosen], scores[chosen], owners[chosen], extents, iou)))
    return found


def score(merged: Dict[str, List[np.ndarray]], truth: dict, classes: Sequence[str]) -> float:
    """Mean AP50 over the classes, in percent; a table of the classes goes to the log."""
    objects = defaultdict(list)
    for one in truth['annotations']:
        objects[one['image_id']].append(one)
    annotations, detections = [], []
    for image in truth['images']:
        annotations.append(_annotation(objects[image['id']]))
        detections.append(merged.get(Path(image['file_name']).stem, [np.zeros((0, 5))] * len(classes)))
    mean, _ = eval_map(detections, annotations, iou_thr=0.5, dataset=classes, logger=MMLogger.get_current_instance(),
                       eval_mode='11points', use_legacy_coordinate=True)
    return 100 * float(mean)


def _annotation(objects: List[dict]) -> Dict[str, np.ndarray]:
    """As :func:`mmdet.evaluation.eval_map` wants it."""
    corner = np.array([one['bbox'] for one in objects], dtype=np.float32).reshape(-1, 4)
    boxes = np.hstack([corner[:, :2], corner[:, :2] + corner[:, 2:]])
    labels = np.array([one['category_id'] - 1 for one in objects], dtype=int)
    difficult = np.array([one['iscrowd'] for one in objects], dtype=bool)
    return dict(bboxes=boxes[~difficult], labels=labels[~difficult], bboxes_ignore=boxes[difficult],
                labels_ignore=labels[difficult])
