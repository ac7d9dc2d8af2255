"""Images of a report: the best and the worst, truth beside prediction."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Polygon

from mmest.pictures import ImageFile

from .charts import jpeg, legend
from .predictions import Boxes, Predicted, Sample
from .scores import SCORE

_LONGEST = 512  # pixels of a drawn image


def choose(by_image: Sequence[float], best: int = 3, worst: int = 5) -> tuple[list[int], list[int]]:
    """Numbers of the best and of the worst images by score; none is in both."""
    order = sorted(range(len(by_image)), key=lambda i: by_image[i])
    low = order[:worst]
    return [i for i in order[::-1][:best] if i not in low], low


def draw(predicted: Predicted, number: int, palette: np.ndarray) -> str:
    """One image: as it is, with the truth, with the prediction. Returns the address of a JPEG.

    Args:
        predicted: the predictions of a run.
        number: of the image.
        palette: RGB of each class, C×3, 0 to 255.
    """
    sample, colours = predicted.samples[number], palette / 255
    with ImageFile(sample.path, **predicted.reading) as opened:
        image = opened.read()
    step = max(1, round(max(image.shape[:2]) / _LONGEST))
    figure = Figure(figsize=(10.5, 3.9 * image.shape[0] / image.shape[1] + 0.5), layout='constrained')
    panels = figure.subplots(1, 3)
    parts = ((None, 'image'), (sample.truth, 'truth'), (sample.found, 'prediction'))
    for axes, (content, title) in zip(panels, parts):
        axes.imshow(image[::step, ::step], extent=(0, image.shape[1], image.shape[0], 0))
        axes.set_title(title, fontsize=10)
        axes.axis('off')
        if isinstance(content, Boxes):
            _outline(axes, content, predicted, colours)
        elif content is not None:
            _shade(axes, content, colours)
    present = sorted(_present(sample, len(predicted.classes)))
    if present:
        handles = [Patch(color=colours[label]) for label in present]
        names = [predicted.classes[label] for label in present]
        legend(figure, handles, names, loc='outside lower center', ncols=8, fontsize=8, frameon=False)
    return jpeg(figure)


def _outline(axes, objects: Boxes, predicted: Predicted, colours: np.ndarray) -> None:
    for box, label, score in zip(objects.boxes, objects.labels, objects.scores):
        if score >= SCORE:
            corners = predicted.geometry.corners(box[None])[0].reshape(4, 2)
            axes.add_patch(Polygon(corners, fill=False, edgecolor=colours[label], linewidth=1.4))
            if score < 1:
                axes.text(*corners.min(0), f'{score:.2f}', fontsize=6, color=colours[label], va='bottom')


def _shade(axes, labels: np.ndarray, colours: np.ndarray) -> None:
    shown = labels < len(colours)
    shade = np.zeros((*labels.shape, 4))
    shade[shown, :3] = colours[labels[shown]]
    shade[shown, 3] = 0.55
    step = max(1, round(max(labels.shape) / _LONGEST))
    axes.imshow(shade[::step, ::step], extent=(0, labels.shape[1], labels.shape[0], 0), interpolation='nearest')


def _present(sample: Sample, count: int) -> set[int]:
    if isinstance(sample.truth, Boxes):
        return {*sample.truth.labels.tolist(), *sample.found.labels[sample.found.scores >= SCORE].tolist()}
    return {int(label) for label in np.unique(np.r_[sample.truth.ravel(), sample.found.ravel()]) if label < count}
