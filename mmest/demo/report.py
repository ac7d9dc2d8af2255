"""The table of the demo."""

from rich.table import Table

from .parts import CASES, METHODS


def table_rows(metrics: dict[str, dict], costs: dict[str, dict]) -> list[dict]:
    """One row per case and method.

    Args:
        metrics: per 'case/method', the metrics of the run.
        costs: per case, what :func:`mmest.demo.costs.measure` gave.
    """
    rows = []
    for case in CASES:
        full = costs[case.name]['full']
        for method, title in METHODS.items():
            cost = costs[case.name][method]
            rows.append(
                dict(
                    case=case.title,
                    method=title,
                    miou=metrics[f'{case.name}/{method}']['mIoU'],
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
    """The rows as a table for the terminal; the best accuracy of each case and the least memory are bold."""
    table = Table(title='Adapted to the target domain (shares are of Full)', title_justify='left')
    for column in ('head reads', 'method', 'mIoU', 'trained in backbone', 'in neck, head', 'live peak', 'step'):
        table.add_column(column, justify='left' if column in ('head reads', 'method') else 'right')
    for case in CASES:
        mine = [row for row in rows if row['case'] == case.title]
        best = max(row['miou'] for row in mine)
        for row in mine:
            miou = f'{row["miou"]:.1f}'
            table.add_row(
                row['case'],
                row['method'],
                f'[bold]{miou}[/]' if row['miou'] == best else miou,
                f'{row["trainable_backbone"]:,}',
                f'{row["trainable_neck_and_head"]:,}',
                f'{row["live_peak_bytes"] / 2**20:.0f} MiB {row["memory_share"]:>4.0%}',
                f'{row["step_seconds"] * 1000:.0f} ms {row["time_share"]:>4.0%}',
            )
        table.add_section()
    return table
