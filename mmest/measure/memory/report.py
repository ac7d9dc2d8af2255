"""Memory figures as a table in the terminal."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmengine.config import Config
from rich.box import SIMPLE
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mmest.configs import head_and_backbone, load_tuning
from mmest.console import plain_console

from .allocator import within_bound
from .categories import COLUMNS
from .compare import FULL, compare_tunings
from .ladder import ladder
from .modules import to_depth
from .picture import draw_timeline
from .step import MemoryReport
from .timeline import Timeline

_MB = 2**20
_SMALL = 0.005  # of the peak: modules below are one row


def measure_and_show(
    config: str,
    cfg: Config,
    tunings: Sequence[str],
    size: tuple[int, int],
    batch_size: int,
    device: str,
    precision: str,
    depth: int | None = None,
    pictures: Path | None = None,
) -> dict:
    """Run :func:`compare_tunings` with a progress bar, print the table, and return the record.

    Args:
        config: path of the config, or another name of it, as table and record show it.
        cfg: the config itself.
        tunings: names of files in ``configs/_base_/tunings``; none for the :func:`ladder`.
        size: height and width in pixels.
        batch_size: number of images.
        device: ``cpu`` or ``cuda``.
        precision: of the forward pass.
        depth: also print what each module holds at the peak, modules below this depth joined, and add it to the record.
        pictures: also draw live memory over the step into this folder, one picture per method.
    """
    stem = Path(cfg.filename).stem
    rungs = ladder(cfg) if not tunings else {}
    methods = {name: load_tuning(name) for name in tunings} or {name: rung.tuning for name, rung in rungs.items()}
    levers = {name: rung.memory for name, rung in rungs.items()} or None
    columns = (
        TextColumn('measuring'),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn('{task.fields[last]}'),
    )
    with Progress(*columns) as progress:
        task = progress.add_task('', total=len(methods), last='')
        modules = {}

        def done(name: str, report: MemoryReport, timeline: Timeline) -> None:
            modules[name] = to_depth(report.modules, depth or 1)
            if pictures:
                draw_timeline(pictures / f'{stem}_{name}.png', timeline, f'{stem}, {name}')
            progress.update(task, advance=1, last=f'{name} done')

        record = compare_tunings(cfg, methods, size, batch_size, device, precision, done, levers)
    record = dict(config=config, head_and_backbone=head_and_backbone(stem), **record)
    _print_whole(memory_table(record))
    if depth:
        for name, row in record['tunings'].items():
            row['modules'] = modules[name]
            _print_whole(modules_table(name, modules[name]))
    if pictures:
        print(f'Drew {len(methods)} pictures into {pictures}')
    if FULL not in methods:
        print('Shares are of full fine-tuning in the same run: add "full" to --tunings to see them.')
    return record


def _print_whole(table: Table) -> None:
    console = plain_console()
    # Lines that the terminal wraps are better than figures cut short.
    natural = Measurement.get(console, console.options.update(max_width=1000), table).maximum
    plain_console(width=max(console.width, natural)).print(table)


def memory_table(record: dict) -> Table:
    """One row per method, figures in MB (2**20 bytes), parameters in millions."""
    height, width = record['size']
    table = Table(
        title=f'{record["config"]}: one training step, {record["batch_size"]} × {height}×{width}, '
        f'{record["precision"]}, {record["optimizer"]}, {record["device"]}',
        caption='MB at the fullest moment of the step, and millions of parameters that train',
        box=SIMPLE,
    )
    on_cuda = record['device'] == 'cuda'
    table.add_column('method')
    for heading in (
        'trained by\nmethod',
        'trained\nin heads',
        'live\npeak',
        'share\nof full',
        *(column.narrow for column in COLUMNS),
        *(('allo-\ncated', 'reserved') if on_cuda else ()),
    ):
        table.add_column(heading, justify='right')
    table.add_column('peak in')
    for name, row in record['tunings'].items():
        share = row['share_of_full']
        cells = [f'{row["parameters"][key] / 1e6:.2f}' for key in ('trained_by_method', 'trained_in_heads')]
        cells += [f'{row["peak"] / _MB:.0f}', 'n/a' if share is None else f'{share:.1%}']
        cells += [f'{sum(row["attribution"][c] for c in column.categories) / _MB:.0f}' for column in COLUMNS]
        if on_cuda:
            allocated, reserved = (row['allocator'][key] for key in ('max_allocated', 'max_reserved'))
            mark = '' if within_bound(row['peak'], allocated) else ' (!)'
            cells += [f'{allocated / _MB:.0f}{mark}', f'{reserved / _MB:.0f}']
        cells.append(row['phase'] if row['phase'] == row['part'] else f'{row["phase"]}, {row["part"]}')
        table.add_row(name, *cells)
    return table


def modules_table(method: str, modules: dict[str, dict[str, int]]) -> Table:
    """What each module holds at the peak, in MB, the largest first; the last row adds up to the peak."""
    table = Table(title=f'{method}: MB at the peak by module', box=SIMPLE)
    table.add_column('module')
    for heading in ('all', *(column.narrow for column in COLUMNS)):
        table.add_column(heading, justify='right')

    def add(name: str, row: dict[str, int]) -> None:
        cells = [
            sum(row.values()),
            *(sum(row.get(category, 0) for category in column.categories) for column in COLUMNS),
        ]
        table.add_row(name, *(f'{nbytes / _MB:.1f}' for nbytes in cells))

    def together(rows: Iterable[dict[str, int]]) -> dict[str, int]:
        return sum(map(Counter, rows), Counter())

    peak = together(modules.values())
    small = [name for name, row in modules.items() if sum(row.values()) < _SMALL * sum(peak.values())]
    for name, row in modules.items():
        if name not in small:
            add(name, row)
    if small:
        add(f'{len(small)} smaller ones', together(modules[name] for name in small))
    table.add_section()
    add('all', peak)
    return table
