"""What the demo consists of."""

from dataclasses import dataclass

from mmest.datasets.synthetic import LAND_CLASSES, OBJECT_CLASSES

IMAGES = dict(source=dict(train=512, val=48), target=dict(train=96, val=64))
SIZE = 128
METHODS = dict(full='Full', frozen='Frozen', est='EST')
PRETRAIN_CONFIG = 'pretrain_fpn_swin'


@dataclass(frozen=True)
class Task:
    """A task on the target domain.

    Attributes:
        name: Folder of its runs.
        head: First part of the names of its configs.
        metric: Key of the accuracy among the metrics of a run.
        factor: Makes percent of the metric.
        label: The accuracy in words.
        classes: Names of what it finds.
    """

    name: str
    head: str
    metric: str
    factor: float
    label: str
    classes: tuple[str, ...]

    def accuracy(self, metrics: dict[str, float]) -> float:
        """The accuracy in percent; a detector that found nothing at all has no metric, and reaches 0."""
        return metrics.get(self.metric, 0.0) * self.factor

    def config(self, method: str) -> str:
        """Name of the config of a method."""
        return f'{self.head}_swin_{method}'


TASKS = (
    Task('detection', 'retinanet', 'coco/bbox_mAP_50', 100, 'AP50', OBJECT_CLASSES),
    Task('segmentation', 'fpn', 'mIoU', 1, 'mIoU', LAND_CLASSES + OBJECT_CLASSES),
)
