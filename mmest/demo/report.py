"""The table of the demo."""

from rich.table import Table

from .parts import METHODS, TASKS


def table_rows(metrics: dict[str, dict], costs: dict[str, dict]) -> list[dict]:
    """One row per task and method.

    Args:
        metrics: Per 'task/method', the metrics of the run.
        costs: Per task, what :func:`mmest.demo.costs.measure` gave.
    """
    rows = []
    for task in TASKS:
        full = costs[task.name]['full']
        for method, title in METHODS.items():
            cost = costs[task.name][method]
            rows.append(
                dict(
                    task=task.name,
                    method=title,
                    metric=task.label,
                    accuracy=task.accuracy(metrics[f'{task.name}/{method}']),
                    trainable_backbone=cost['trainable_backbone'],
                    trainable_neck_and_head=cost['trainable_rest'],
                    live_peak_bytes=cost['peak'],
                    memory_share=cost['peak'] / full['peak'],
                    step_seconds=cost['step'],
                    time_share=cost['step'] / full['step'],
                )
            )
    return rows


def render_table(rows: list[dict]) -> Table:
    """The rows as a table for the terminal; the best accuracy of each task and the least memory are bold."""
    table = Table(title='Adapted to the target domain (shares are of Full)', title_justify='left')
    for column in ('task', 'method', 'accuracy', 'trained in backbone', 'in neck, head', 'live peak', 'step'):
        table.add_column(column, justify='left' if column in ('task', 'method') else 'right')
    for task in TASKS:
        mine = [row for row in rows if row['task'] == task.name]
        best = max(row['accuracy'] for row in mine)
        for row in mine:
            accuracy = f'{row["metric"]} {row["accuracy"]:.1f}'
            table.add_row(
                row['task'],
                row['method'],
                f'[bold]{accuracy}[/]' if row['accuracy'] == best else accuracy,
                f'{row["trainable_backbone"]:,}',
                f'{row["trainable_neck_and_head"]:,}',
                f'{row["live_peak_bytes"] / 2**20:.0f} MiB {row["memory_share"]:>4.0%}',
                f'{row["step_seconds"] * 1000:.0f} ms {row["time_share"]:>4.0%}',
            )
        table.add_section()
    return table
