"""A plan as a table in the terminal."""

from rich.box import SIMPLE
from rich.table import Table

from .plan import LARGEST_BATCH, LARGEST_SIDE, Plan

_MB = 2**20


def plan_table(title: str, plans: dict[str, Plan], budget: int, size: tuple[int, int], batch_size: int) -> Table:
    """One row per method: whether it fits as asked, and what fits at most."""
    table = Table(title=title, box=SIMPLE)
    table.add_column('method')
    asked = f'{batch_size} × {size[0]}×{size[1]}'
    for heading in (
        f'live peak, MB\n{asked}',
        f'fits\n{budget / _MB:.0f} MB',
        f'largest batch\nat {size[0]}×{size[1]}',
        f'largest image\nat batch {batch_size}',
    ):
        table.add_column(heading, justify='right')
    for name, plan in plans.items():
        if plan.error:
            table.add_row(name, 'not planned', '', '', plan.error)
            continue
        side = f'{plan.largest_side}×{plan.largest_side}' if plan.largest_side else 'none'
        side += ' or more' if plan.largest_side >= LARGEST_SIDE else ''
        batch = f'{plan.largest_batch or "none"}{" or more" if plan.largest_batch >= LARGEST_BATCH else ""}'
        table.add_row(
            name,
            f'{plan.peak / _MB:.0f}',
            'yes' if plan.peak <= budget else 'no',
            batch,
            side,
        )
    return table
