"""Figures of a report name what they show."""

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mmest.report import charts

# As labelme's, of prices, and what would be no mathematics.
NAMES = ['_background_', 'car', 'from $5 to $10', '$^$']


@pytest.mark.parametrize(
    'chart',
    [
        lambda: charts.curves({name: [(1, 0.5), (2, 0.6)] for name in NAMES}, 'loss'),
        lambda: charts.precision_recall({name: (np.array([0.0, 1.0]), np.array([1.0, 0.5])) for name in NAMES}),
        lambda: charts.confusion(np.eye(len(NAMES)), NAMES),
    ],
)
def test_every_name_is_shown_as_it_is(chart):
    shown = chart()
    assert all(f'<!-- {name} -->' in shown for name in NAMES)


def test_names_stand_beside_their_colours():
    figure = Figure()
    charts.legend(figure, [Patch(color=(number / 9, 0, 0)) for number in range(len(NAMES))], NAMES, ncols=2)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == NAMES
    assert [patch.get_facecolor()[0] for patch in legend.get_patches()] == [number / 9 for number in range(len(NAMES))]
