"""A table of values, and its forms: Markdown, CSV, LaTeX."""

import csv
import io
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MISSING = '—'


class Failed:
    """Stands where a measurement failed."""

    def __str__(self) -> str:
        return 'failed'


FAILED = Failed()


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over seeds; the latter is None for one seed."""

    mean: float
    std: float | None
    seeds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> 'Spread':
        return cls(statistics.mean(values), statistics.stdev(values) if len(values) > 1 else None, len(values))


@dataclass(frozen=True)
class Column:
    """A heading, how its numbers are written, and whether the largest one is bold, with those that read like it."""

    heading: str
    format: str = '{}'
    largest_bold: bool = False

    def text(self, value: Any) -> str:
        if isinstance(value, (str, Failed)):
            return str(value)
        number = _number(value)
        if number is None:
            return MISSING
        text = self.format.format(number)
        std = value.std if isinstance(value, Spread) else None
        return text if std is None else f'{text} ± {self.format.format(std)}'


@dataclass
class Table:
    """Rows of values: numbers, texts, :class:`Spread`, :data:`FAILED`, or None for what is missing."""

    title: str
    columns: list[Column]
    rows: list[list[Any]] = field(default_factory=list)

    def markdown(self) -> str:
        rows = [[column.heading for column in self.columns], *self._texts('**{}**')]
        lines = ['| ' + ' | '.join(text.replace('|', r'\|') for text in row) + ' |' for row in rows]
        lines.insert(1, '|---|' + '---:|' * (len(self.columns) - 1))
        return '\n'.join(lines) + '\n'

    def latex(self) -> str:
        """A tabular with the rules of booktabs; columns of texts are set left, those of figures right."""
        head = ' & '.join(_escaped(column.heading) for column in self.columns)
        body = [' & '.join(_escaped(text) for text in row) + r' \\' for row in self._texts('@{}@')]
        texts = [all(isinstance(row[i], str) for row in self.rows) for i in range(1, len(self.columns))]
        lines = [
            f'% {self.title}; needs \\usepackage{{booktabs}}',
            rf'\begin{{tabular}}{{l{"".join("l" if text else "r" for text in texts)}}}',
            r'\toprule',
            rf'{head} \\',
            r'\midrule',
            *body,
            r'\bottomrule',
            r'\end{tabular}',
        ]
        return '\n'.join(lines) + '\n'

    def csv(self) -> str:
        """Values in full precision; a spread has three columns, what is missing is empty."""
        spreads = [any(isinstance(row[i], Spread) for row in self.rows) for i in range(len(self.columns))]
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator='\n')
        writer.writerow(
            [
                name
                for column, spread in zip(self.columns, spreads)
                for name in (
                    [f'{column.heading} {part}' for part in ('mean', 'std', 'seeds')] if spread else [column.heading]
                )
            ]
        )
        for row in self.rows:
            writer.writerow([cell for value, spread in zip(row, spreads) for cell in _cells(value, spread)])
        return stream.getvalue()

    def _texts(self, bold: str) -> list[list[str]]:
        best = [self._best(i) if column.largest_bold else None for i, column in enumerate(self.columns)]
        return [
            [
                bold.format(column.text(value))
                if largest and column.text(_number(value)) == largest
                else column.text(value)
                for column, value, largest in zip(self.columns, row, best)
            ]
            for row in self.rows
        ]

    def _best(self, index: int) -> str | None:
        """The largest number of a column as it is written."""
        numbers = [number for row in self.rows if (number := _number(row[index])) is not None]
        return self.columns[index].text(max(numbers)) if len(numbers) > 1 else None


def _number(value: Any) -> float | None:
    """None of what is no number, NaN with it."""
    number = value.mean if isinstance(value, Spread) else value
    return number if isinstance(number, (int, float)) and not math.isnan(number) else None


def _cells(value: Any, spread: bool) -> list:
    if not spread:
        return [value]
    if isinstance(value, Spread):
        return [value.mean, value.std, value.seeds]
    return [value, None, None]


_LATEX = {
    **{letter: f'\\{letter}' for letter in '&%_#${}'},
    '\\': r'\textbackslash{}',
    '~': r'\textasciitilde{}',
    '^': r'\textasciicircum{}',
    '<': r'\textless{}',
    '>': r'\textgreater{}',
    '|': r'\textbar{}',
    '±': r'$\pm$',
    '×': r'$\times$',
    '²': '$^2$',
    '—': '---',
}


def _escaped(text: str) -> str:
    if text.startswith('@') and text.endswith('@'):
        return rf'\textbf{{{_escaped(text[1:-1])}}}'
    return ''.join(_LATEX.get(letter, letter) for letter in text)
