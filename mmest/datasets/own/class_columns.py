"""Which column of a vector layer names the classes of its polygons."""

import numpy as np

#: Columns that name classes, the surest first.
_SURE = ('class', 'class_name', 'classname', 'label', 'category', 'klass', 'klasse')
#: Columns that often hold something else, as the names of streets and houses.
_DOUBTFUL = ('type', 'kind', 'name')
_FILLED = 0.9  # of the cells of a doubtful column, if it names classes
_REPEATED = 2  # so many polygons have each name, on average, if names are classes
_MOST_CLASSES = 100


def class_values(columns: dict[str, np.ndarray], layer: str, count: int) -> tuple[str | None, list, list[str]]:
    """The column that names classes and its values; without one, the layer's name for all.

    A column that is called ``type``, ``kind`` or ``name`` counts only if nearly all polygons have a value there, and
    ``name`` only if polygons share values: others tell one house from the next.

    Args:
        columns: the values of the polygons, by the column's name.
        layer: its name.
        count: of polygons.

    Returns:
        The column, or None; a class for each polygon, of which some may be empty (see :func:`is_empty`); and what
        speaks against the doubtful columns that are there, in words.
    """
    by_name = {name.lower(): name for name in columns}
    passed_over = []
    for wanted in filter(by_name.__contains__, (*_SURE, *_DOUBTFUL)):
        name = by_name[wanted]
        values = columns[name].tolist()
        filled = [class_name(value) for value in values if not is_empty(value)]
        if not 0 < len(set(filled)) <= _MOST_CLASSES:
            continue
        if wanted in _DOUBTFUL and len(filled) < _FILLED * count:
            passed_over.append(f'"{name}" is filled for {len(filled)} of {count} polygons only')
        elif wanted == 'name' and len(filled) < _REPEATED * len(set(filled)):
            passed_over.append(f'"{name}" has {len(set(filled))} values for {count} polygons')
        else:
            return name, values, passed_over
    return None, [layer] * count, passed_over


def class_name(value: object) -> str:
    """Whole numbers of a column with empty cells come as fractions."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


def is_empty(value: object) -> bool:
    """Whether a cell holds nothing; where numbers are missing they are NaN."""
    return value is None or value != value or not str(value).strip()
