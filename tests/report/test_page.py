"""What the page says of its runs as a whole."""

from mmest.report.page import _subtitle


def page(name, classes, images):
    return dict(name=name, images=len(images), data=(tuple(classes), frozenset(images)))


def test_runs_on_other_data_are_said_not_to_compare():
    one, same = (page(name, ['a', 'b'], ['1.png', '2.png']) for name in ('one', 'same'))
    assert _subtitle('Segmentation', [one, same]) == 'Segmentation on 2 validation images.'
    for other in (page('other', ['a', 'c'], ['1.png', '2.png']), page('other', ['a', 'b'], ['1.png', '3.png'])):
        assert _subtitle('Segmentation', [one, other]) == (
            'Segmentation, but with validation images or classes that differ: one on 2, other on 2. '
            'Their scores do not compare.'
        )
