"""The file that LoveDA's server takes."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.registry import METRICS

from mmest.files import write_zip


@METRICS.register_module()
class LoveDASubmission(BaseMetric):
    """Writes ``Results.zip``: a mask per picture, without folders, pixels from 0 (background) to 6 (agricultural).

    The masks of the data set count from 1. mmseg's IoUMetric writes them so too, and the server rejects that.

    Args:
        submission: folder to write it to.
        kwargs: see :class:`mmengine.evaluator.BaseMetric`.
    """

    default_prefix = 'loveda'

    def __init__(self, submission: str | None = None, **kwargs) -> None:
        super().__init__(**kwargs)
        self.submission = submission

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        for sample in data_samples:
            mask = sample['pred_sem_seg']['data'].squeeze().cpu().numpy().astype(np.uint8)
            self.results.append((f'{Path(sample["img_path"]).stem}.png', cv2.imencode('.png', mask)[1].tobytes()))

    def compute_metrics(self, results: list[tuple]) -> dict[str, float]:
        write_zip(Path(self.submission, 'Results.zip'), dict(sorted(results)))
        return dict(pictures=len(results))
