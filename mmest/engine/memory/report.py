"""Memory figures as a table in the terminal."""
from typing import Sequence, Tuple

from rich.box import SIMPLE
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from mmest.engine.launch import open_config
from mmest.utils import load_tuning

from .compare import FULL, compare_tunings

_MB = 2**20
#: Heading, and the categories that are summed below it.
_COLUMNS = (
    ('weights', ('weights_frozen', 'weights_trainable')),
    ('grad-\nients', ('gradients', )),
    ('opti-\nmizer', ('optimizer', )),
    ('saved by\nbackbone', ('saved_backbone', )),
    ('saved\nby side', ('saved_side', )),
    ('saved by\nheads', ('saved_heads', )),
    ('inputs', ('inputs', )),
    ('trans-\nient', ('transient', )),
)


def measure_and_show(config: str, tunings: Sequence[str], size: Tuple[int, int], batch_size: int, device: str,
                     amp: bool) -> dict:
    """Run :func:`compare_tunings` for a config file with a progress bar, print the table, and return the record.

    Args:
        config: path of the config.
        tunings: names of files in ``configs/_base_/tunings``.
        size: height and width in pixels.
        batch_size: number of images.
        device: ``cpu`` or ``cuda``.
        amp: mixed precision, on CUDA.
    """
    cfg = open_config(config)
    methods = {name: load_tuning(name) for name in tunings}
    columns = (TextColumn('measuring'), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
               TextColumn('{task.fields[last]}'))
    with Progress(*columns) as progress:
        task = progress.add_task('', total=len(methods), last='')
        record = compare_tunings(
            cfg, methods, size, batch_size, device, amp,
            done=lambda name: progress.update(task, advance=1, last=f'{name} done'))
    record = dict(config=config, **record)
    table = memory_table(record)
    console = Console()
    # Lines that the terminal wraps are better than figures cut short.
    natural = Measurement.get(console, console.options.update(max_width=1000), table).maximum
    console = Console(width=max(console.width, natural))
    console.print(table)
    if FULL not in methods:
        console.print('Shares are of full fine-tuning in the same run: add "full" to --tunings to see them.')
    return record


def memory_table(record: dict) -> Table:
    """One row per method, figures in MB (2**20 bytes), parameters in millions."""
    height, width = record['size']
    table = Table(
        title=f'{record["config"]}: one training step, {record["batch_size"]} × {height}×{width}, '
        f'{record["precision"]}, {record["optimizer"]}, {record["device"]}',
        caption='MB at the fullest moment of the step, and millions of parameters that train', box=SIMPLE)
    on_cuda = record['device'] == 'cuda'
    table.add_column('method')
    for heading in ('trained by\nmethod', 'trained\nin heads', 'live\npeak', 'share\nof full',
                    *(heading for heading, _ in _COLUMNS), *(('allo-\ncated', 'reserved') if on_cuda else ())):
        table.add_column(heading, justify='right')
    table.add_column('peak in')
    for name, row in record['tunings'].items():
        share = row['share_of_full']
        cells = [f'{row["parameters"][key] / 1e6:.2f}' for key in ('trained_by_method', 'trained_in_heads')]
        cells += [f'{row["peak"] / _MB:.0f}', 'n/a' if share is None else f'{share:.1%}']
        cells += [f'{sum(row["attribution"][c] for c in categories) / _MB:.0f}' for _, categories in _COLUMNS]
        if on_cuda:
            cells += [f'{row["allocator"][key] / _MB:.0f}' for key in ('max_allocated', 'max_reserved')]
        cells.append(row['phase'] if row['phase'] == row['part'] else f'{row["phase"]}, {row["part"]}')
        table.add_row(name, *cells)
    return table
