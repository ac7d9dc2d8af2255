"""What live memory is: the categories of bytes, and how tables and figures show them."""

from typing import NamedTuple

WEIGHTS_FROZEN = 'weights_frozen'
WEIGHTS_TRAINABLE = 'weights_trainable'
GRADIENTS = 'gradients'
OPTIMIZER = 'optimizer'
SAVED_BACKBONE = 'saved_backbone'
SAVED_SIDE = 'saved_side'
SAVED_HEADS = 'saved_heads'
INPUTS = 'inputs'
TRANSIENT = 'transient'


class Style(NamedTuple):
    """How a category is drawn: its label and its colour."""

    label: str
    colour: str


#: All categories (:mod:`mmest.measure.memory` says what each is), in the order in which figures stack them.
STYLE = {
    WEIGHTS_FROZEN: Style('frozen weights', '#c7c7c7'),
    WEIGHTS_TRAINABLE: Style('trained weights', '#7f7f7f'),
    GRADIENTS: Style('gradients', '#8c564b'),
    OPTIMIZER: Style('optimizer', '#c49c94'),
    SAVED_BACKBONE: Style('saved by backbone', '#c44e52'),
    SAVED_SIDE: Style('saved by side network', '#2a6fbb'),
    SAVED_HEADS: Style('saved by neck and head', '#dd8452'),
    INPUTS: Style('inputs', '#55a868'),
    TRANSIENT: Style('transient', '#e5d67b'),
}
CATEGORIES = tuple(STYLE)


class Column(NamedTuple):
    """A column of a table: its heading on a page, its heading in a narrow terminal, and the categories it adds up."""

    heading: str
    narrow: str
    categories: tuple[str, ...]


COLUMNS = (
    Column('weights', 'weights', (WEIGHTS_FROZEN, WEIGHTS_TRAINABLE)),
    Column('gradients', 'grad-\nients', (GRADIENTS,)),
    Column('optimizer', 'opti-\nmizer', (OPTIMIZER,)),
    Column('saved by backbone', 'saved by\nbackbone', (SAVED_BACKBONE,)),
    Column('by side network', 'saved\nby side', (SAVED_SIDE,)),
    Column('by neck and head', 'saved by\nheads', (SAVED_HEADS,)),
    Column('inputs', 'inputs', (INPUTS,)),
    Column('transient', 'trans-\nient', (TRANSIENT,)),
)
