"""One table that tells what of a model is frozen and what trains."""

import io
from collections.abc import Iterable

from rich.table import Table
from torch import nn

from mmest.backbones.tuned_backbone import tuned_backbones
from mmest.console import plain_console


def count(parameters: Iterable[nn.Parameter]) -> int:
    """Number of values in the parameters."""
    return sum(p.numel() for p in parameters)


def trainable(module: nn.Module) -> int:
    """Number of values that train in a module."""
    return count(p for p in module.parameters() if p.requires_grad)


def parameter_counts(model: nn.Module) -> dict[str, int]:
    """Values in the wrapped backbone, and of those that train: in or beside it, and in neck and heads."""
    by_method = trainable(model.backbone)
    return dict(
        backbone=count(model.backbone.backbone.parameters()),
        trained_by_method=by_method,
        trained_in_heads=trainable(model) - by_method,
    )


def render(table: Table) -> str:
    """A rich table as plain text, for log files."""
    stream = io.StringIO()
    plain_console(file=stream, width=120).print(table)
    return stream.getvalue().rstrip()


def tuning_table(model: nn.Module) -> str:
    """Parts of a model with their parameters, how many of them train, and what the pretrained file covered."""
    table = Table(
        'part',
        'parameters',
        'train',
        'frozen',
        'pretrained file',
        title='What trains and what is frozen',
        title_justify='left',
    )
    for column in table.columns[1:4]:
        column.justify = 'right'
    inside = set()
    for path, tuned in tuned_backbones(model):
        coverage = f'covers {tuned.coverage.share:.2%}' if tuned.coverage else 'none'
        rows = (
            (f'{path}.backbone ({type(tuned.backbone).__name__})', tuned.backbone, coverage),
            (f'{path}.method ({type(tuned.method).__name__})', tuned.method, ''),
        )
        for name, module, note in rows:
            total, train = count(module.parameters()), trainable(module)
            table.add_row(name, f'{total:,}', f'{train:,}', f'{total - train:,}', note)
        inside |= {id(p) for p in tuned.parameters()}
    for name, child in model.named_children():
        rest = [p for p in child.parameters() if id(p) not in inside]
        if rest:
            train = count(p for p in rest if p.requires_grad)
            table.add_row(
                f'{name} ({type(child).__name__})', f'{count(rest):,}', f'{train:,}', f'{count(rest) - train:,}', ''
            )
    total, train = count(model.parameters()), trainable(model)
    table.add_section()
    table.add_row('all', f'{total:,}', f'{train:,}', f'{total - train:,}', '')
    return render(table)
