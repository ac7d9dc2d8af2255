"""One Markdown page of all results, its figures, and every table as CSV and LaTeX beside it."""

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .comparison import attribution, comparison, training_details, unique
from .figures import accuracy_over_memory, attribution_bars, loss_curves
from .overview import accuracy_overviews, memory_overviews, time_overviews
from .results import Result
from .standing import where_est_does_not_win
from .table import MISSING, Table

PAGE, ASSETS = 'benchmarks.md', 'benchmarks'
_HEAD = f"""# Benchmarks

Made by `tools/make_tables.py` from JSON files, each of which has the config, versions, seed, commit and hardware of its
measurement; nobody types a figure. {MISSING} is what was not measured, "failed" what was tried and failed.

Memory is the live peak of one training step, MB = 2²⁰ bytes; time is the median of steps in which the methods took
turns. Shares are of full fine-tuning in the same setting. Accuracy is the mean ± standard deviation over seeds, without
a deviation where there is one seed. The rank is by accuracy, among the methods that have one on every data set of the
table; variants of a method have none, and are not drawn beside it.
"""


class Page:
    """Writes into a folder: ``benchmarks.md``, and what it refers to in ``benchmarks/``.

    Args:
        results: what was measured.
        notes: Markdown that ends the page.
    """

    def __init__(self, results: Sequence[Result], notes: str | None = None) -> None:
        self._results, self._notes = results, notes

    def write(self, out: Path) -> None:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out, prefix='.tables') as folder:
            self._assets = Path(folder, ASSETS)
            self._assets.mkdir()
            Path(folder, PAGE).write_text('\n'.join(self._parts()))
            (out / ASSETS).mkdir(exist_ok=True)
            for path in sorted(self._assets.iterdir()):
                os.replace(path, out / ASSETS / path.name)
            os.replace(Path(folder, PAGE), out / PAGE)

    def _parts(self) -> list[str]:
        parts = [_HEAD]
        for table in (
            *accuracy_overviews(self._results),
            *memory_overviews(self._results),
            *time_overviews(self._results),
        ):
            parts += [f'## {table.title}\n', self._table(table, table.title)]
        for model in unique(r.model for r in self._results):
            mine = [r for r in self._results if r.model == model]
            parts.append(f'## {model}\n')
            parts.append(self._table(comparison(self._results, model), model))
            parts += self._failures(mine)
            for setting in unique(r.setting for r in mine if r.kind == 'memory'):
                table = attribution(self._results, model, setting)
                parts += [f'### {table.title}\n', self._table(table, f'{model} memory {setting}')]
                parts += self._figure(attribution_bars, f'{model} memory {setting}', model, setting)
            for dataset in unique(r.dataset for r in mine if r.kind == 'accuracy'):
                table = training_details(self._results, model, dataset)
                parts += [f'### {table.title}\n', self._table(table, f'{model} {dataset}')]
                for setting in unique(r.setting for r in mine if r.kind == 'memory'):
                    parts += self._figure(
                        accuracy_over_memory, f'{model} {dataset} over memory {setting}', model, dataset, setting
                    )
                parts += self._figure(loss_curves, f'{model} {dataset} loss', model, dataset)
        lines = list(where_est_does_not_win(self._results))
        if lines:
            parts.append('## Where EST does not win\n')
            parts.append('\n'.join(f'- {line}' for line in lines) + '\n')
        return parts + ([self._notes] if self._notes else [])

    def _table(self, table: Table, name: str) -> str:
        (self._assets / f'{_file_name(name)}.csv').write_text(table.csv())
        (self._assets / f'{_file_name(name)}.tex').write_text(table.latex())
        return table.markdown()

    def _figure(self, draw, name: str, *args) -> list[str]:
        drawn = draw(self._assets / _file_name(name), self._results, *args)
        return [f'![{name}]({ASSETS}/{_file_name(name)}.svg)\n'] if drawn else []

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
