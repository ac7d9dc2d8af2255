"""The metric that stands for an evaluation."""

from collections.abc import Iterable

_FIRST = ('coco/bbox_mAP', 'mIoU')
#: Metrics of 0..1 by the start of their names, whatever else that is called mAP; those of mmseg and the AP50 of
#: mmest's DOTA metric are in per cent.
_FRACTIONS = ('coco/', 'pascal_voc/')


def in_percent(name: str, value: float) -> float:
    """The value of a metric, by its name with its prefix, in per cent."""
    return value * 100 if name.startswith(_FRACTIONS) or 'mAP' in name else value


def main_metric(metrics: dict[str, float]) -> tuple[str, float]:
    """Its name, without the metric's prefix, and its value in per cent; see :func:`main_name`."""
    name = main_name(metrics)
    return name.rpartition('/')[2], in_percent(name, metrics[name])


def main_name(metrics: Iterable[str]) -> str:
    """The one of these metrics that stands for all, with its prefix: COCO's AP of boxes, or mIoU, or the first that is
    called mAP, or AP50 as DOTA has it.

    Raises:
        ValueError: there is none of these.
    """
    metrics = list(metrics)
    for name in (*_FIRST, *(name for name in metrics if name.endswith('mAP')), 'dota/AP50'):
        if name in metrics:
            return name
    raise ValueError(f'None of the metrics {", ".join(metrics) or "(none)"} is a mAP, the mIoU or the AP50 of DOTA.')
