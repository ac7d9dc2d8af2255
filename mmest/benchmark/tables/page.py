"""The pages of all results: one that answers "which method, at what cost", the others behind it; and the files beside.

Every table is written as CSV and LaTeX, every figure as SVG and PDF.
"""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .care import unequal_care
from .comparison import attribution, comparison
from .figures import accuracy_against_memory, accuracy_over_memory, attribution_bars, loss_curves
from .overview import accuracy_overviews, costs, memory_overviews, time_overviews
from .paper import paper_tables, published_table
from .results import Result
from .rows import unique
from .standing import where_est_does_not_win
from .summary import summary
from .table import MISSING, Table
from .training_details import training_details

PAGE, ASSETS, FILES = 'benchmarks.md', 'benchmarks', 'files'
_OVERVIEW = 'overview'
_HEAD = f"""# Benchmarks

Made by `mmest tables` from JSON files, each of which has the config, versions, seed, commit and hardware of its
measurement; nobody types a figure. {MISSING} is what was not measured, "failed" what was tried and failed.

Memory is the live peak of one training step, MB = 2²⁰ bytes; time is the median of steps in which the methods took
turns. Shares are of full fine-tuning in the same setting, of times in the same process. Accuracy is the mean ± standard
deviation over seeds, without a deviation where there is one seed. Rates ×N are N times the learning rate of the method
or the schedule.
"""
_NOTES = 'What was trained, on which data, and what the figures say, stands at the end of this page.\n'
_SUMMARY = """Each row is the mean over the settings, a data set and a model each, in which the method was trained:
points from full fine-tuning, in mIoU or COCO's AP; points of EST in the same settings; memory and time of a step as
shares of full fine-tuning's, with the same models. "recomputed" runs the backbone's blocks again in the backward pass:
the score is the same, memory is less, time is more. Where a model was not timed, the mean is over the others.
"""
_WITHOUT_FULL = """Methods are compared with full fine-tuning, which has no score here: train it too (`--tuning full`).
"""
_COSTS = """Mean shares of full fine-tuning over all models and sizes in which both were measured, trained or not. The
numbers of these differ, so compare methods in the tables behind this one.
"""


class Page:
    """Writes into a folder: ``benchmarks.md``, and what is behind it in ``benchmarks/``.

    Args:
        results: what was measured.
        notes: Markdown that ends the page.
    """

    def __init__(self, results: Sequence[Result], notes: str | None = None) -> None:
        self._results, self._notes = results, notes

    def write(self, out: Path) -> None:
        """Write all pages and files; each appears when it is whole."""
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix='.tables') as folder:
            self._root = Path(folder)
            self._files = self._root / ASSETS / FILES
            self._files.mkdir(parents=True)
            behind = self._pages_behind()
            for name, (_, parts) in behind.items():
                (self._root / ASSETS / name).write_text('\n'.join(parts))
            (self._root / PAGE).write_text('\n'.join(self._first_page(behind)))
            for path in sorted(path for path in self._root.rglob('*') if path.is_file()):
                place = out / path.relative_to(self._root)
                place.parent.mkdir(parents=True, exist_ok=True)
                os.replace(path, place)

    def _first_page(self, behind: dict[str, tuple[str, list[str]]]) -> list[str]:
        table, over_all = summary(self._results), costs(self._results)
        parts = [_HEAD, *([_NOTES] if self._notes else []), f'## {table.title}\n']
        parts += [_SUMMARY, self._table(table, _OVERVIEW)] if table.rows else [_WITHOUT_FULL]
        if accuracy_against_memory(self._root / ASSETS / _OVERVIEW, table):
            parts.append(f'![Accuracy against memory]({ASSETS}/{_OVERVIEW}.svg)\n')
        if any(share is not None for _, *shares in over_all.rows for share in shares):
            parts += [f'## {over_all.title}\n', _COSTS, self._table(over_all, over_all.title)]
        for table in accuracy_overviews(self._results):
            parts += [f'## {table.title}\n', self._table(table, table.title)]
        parts += self._losses('Accuracy')
        unequal = list(unequal_care(self._results))
        if unequal:
            parts += ['## Where the care was not equal\n', '\n'.join(f'- {line}' for line in unequal) + '\n']
        parts.append('## Behind this page\n')
        parts.append('\n'.join(f'- [{title}]({ASSETS}/{name})' for name, (title, _) in behind.items()) + '\n')
        return parts + ([self._notes] if self._notes else [])

    def _pages_behind(self) -> dict[str, tuple[str, list[str]]]:
        """Title and parts of each page, by its file."""
        pages = {}
        for name, title, tables in (
            ('memory.md', 'Memory of all models', memory_overviews(self._results)),
            ('time.md', 'Time of a step of all models', time_overviews(self._results)),
        ):
            if tables:
                parts = [f'# {title}\n', self._note()]
                for table in tables:
                    parts += [f'## {table.title}\n', self._table(table, table.title)]
                pages[name] = title, parts + self._losses(title.partition(' ')[0])
        tables = paper_tables(self._results)
        if tables:
            title, parts = 'Tables in the form of a paper', [self._note()]
            for table in (*tables, published_table()):
                parts += [f'## {table.title}\n', self._table(table, f'paper {table.title}')]
            pages['paper.md'] = title, [f'# {title}\n', *parts]
        for model in unique(r.model for r in self._results):
            pages[f'{_file_name(model)}.md'] = model, self._model(model)
        return pages

    def _model(self, model: str) -> list[str]:
        mine = [r for r in self._results if r.model == model]
        parts = [f'# {model}\n', self._note(), self._table(comparison(self._results, model), model)]
        parts += self._failures(mine)
        settings = unique(r.setting for r in mine if r.kind == 'memory')
        for setting in settings:
            table = attribution(self._results, model, setting)
            parts += [f'## {table.title}\n', self._table(table, f'{model} memory {setting}')]
            self._draw(attribution_bars, f'{model} memory {setting}', model, setting)
        for dataset in unique(r.dataset for r in mine if r.kind == 'accuracy'):
            table = training_details(self._results, model, dataset)
            parts += [f'## {table.title}\n', self._table(table, f'{model} {dataset}')]
            for setting in settings:
                self._draw(accuracy_over_memory, f'{model} {dataset} over memory {setting}', model, dataset, setting)
            self._draw(loss_curves, f'{model} {dataset} loss', model, dataset)
        return parts

    def _losses(self, what: str) -> list[str]:
        lines = [f'- {line}' for line in where_est_does_not_win(self._results) if line.startswith(f'{what},')]
        return ['## Where EST does not win\n', '\n'.join(lines) + '\n'] if lines else []

    @staticmethod
    def _note() -> str:
        return (
            f'[All benchmarks](../{PAGE}). `mmest tables` writes these tables as CSV and LaTeX, and figures of them as '
            f'SVG and PDF, to `{ASSETS}/{FILES}`. The rank is by accuracy, among the methods that have one on every '
            'data set of the table, or by memory; variants of a method have none.\n'
        )

    def _table(self, table: Table, name: str) -> str:
        (self._files / f'{_file_name(name)}.csv').write_text(table.csv())
        (self._files / f'{_file_name(name)}.tex').write_text(table.latex())
        return table.markdown()

    def _draw(self, draw, name: str, *args) -> None:
        draw(self._files / _file_name(name), self._results, *args)

    @staticmethod
    def _failures(results: Sequence[Result]) -> list[str]:
        lines = [
            f'- failed: {r.kind} of {r.method}{f" ({r.setting})" if r.setting else f" on {r.dataset}"}: `{r.error}`'
            for r in results
            if r.error
        ]
        return ['\n'.join(lines) + '\n'] if lines else []


def _file_name(name: str) -> str:
    return re.sub(r'[^\w.-]+', '_', name.replace('²', '').replace(' × ', 'x').replace('×', 'x')).strip('_')
