"""Outlines of objects in a COCO file: what mmdet passes over without a word, and COCO's metric fails at."""

from collections.abc import Sequence

import numpy as np

ABSENT = 'have no outline (segmentation), which the config needs'
FORM = 'have an outline (segmentation) in a form that COCO does not have'
SHORT = 'have an outline of fewer than three points, or of half a point'
BROKEN = 'have NaN or infinity in their outline'
OUTSIDE = 'have an outline outside of their image'
SIZE = 'have an outline (RLE) of another size than their image'
FLAT = 'have an outline without area on their image'
APART = 'have an outline elsewhere than their box'
RUNS = 'have an outline (RLE) whose runs are damaged or cover nothing'


def readable(outline: object, size: Sequence[int]) -> tuple[object, str]:
    """What of an outline a run can read.

    Args:
        outline: ``segmentation`` of an annotation: polygons, or runs (RLE).
        size: width and height of its image.

    Returns:
        The outline, without the polygons that cannot be read, and nothing; or None and why all of it cannot.
    """
    if not outline:
        return None, ABSENT
    if isinstance(outline, dict):
        reason = _wrong_runs(outline, size)
        return (None, reason) if reason else (outline, '')
    if not isinstance(outline, list) or not all(isinstance(polygon, list) for polygon in outline):
        return None, FORM
    reasons = [_wrong_polygon(polygon, size) for polygon in outline]
    kept = [polygon for polygon, reason in zip(outline, reasons) if not reason]
    return (kept, '') if kept else (None, reasons[0])


def _wrong_polygon(polygon: list, size: Sequence[int]) -> str:
    try:
        values = np.array(polygon or [0.0])
    except ValueError:
        return FORM
    if values.ndim != 1 or values.dtype.kind not in 'iuf':
        return FORM
    if len(values) < 6 or len(values) % 2:
        return SHORT
    if not np.isfinite(values).all():
        return BROKEN
    points = values.reshape(-1, 2)
    return OUTSIDE if (points.max(0) <= 0).any() or (points.min(0) >= size).any() else ''


def _wrong_runs(rle: dict, size: Sequence[int]) -> str:
    if rle.get('size') != [size[1], size[0]]:
        return SIZE
    counts = rle.get('counts')
    if isinstance(counts, str):
        counts = _runs(counts)
    fine = isinstance(counts, list) and all(type(run) is int and run >= 0 for run in counts)
    return '' if fine and sum(counts) == size[0] * size[1] and sum(counts[1::2]) else RUNS


def _runs(text: str) -> list[int] | None:
    """Lengths of runs out of COCO's text, None of a text that ends amid a number.

    A letter has five bits of a number; the sixth says that more follow. From the fourth on it is the difference to the
    run before the last.
    """
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        bits = ord(letter) - 48
        if not 0 <= bits < 64:
            return None
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + (runs[-2] if len(runs) > 2 else 0))
        value = shift = 0
    return None if shift else runs
