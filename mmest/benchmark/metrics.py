"""The metric that stands for an evaluation."""

_FIRST = ('coco/bbox_mAP', 'mIoU')


def in_percent(name: str, value: float) -> float:
    """COCO and its like score in 0..1, mmseg in 0..100."""
    return value * 100 if 'mAP' in name else value


def main_metric(metrics: dict[str, float]) -> tuple[str, float]:
    """Its name, without the metric's prefix, and its value in per cent.

    That is COCO's AP of boxes, or mIoU, or the first that is called mAP, or AP50 as DOTA has it.

    Raises:
        ValueError: there is none of these.
    """
    names = [*_FIRST, *(name for name in metrics if name.endswith('mAP')), 'dota/AP50']
    for name in names:
        if name in metrics:
            return name.rpartition('/')[2], in_percent(name, metrics[name])
    raise ValueError(f'None of the metrics {", ".join(metrics) or "(none)"} is a mAP, the mIoU or the AP50 of DOTA.')
