"""The metrics of an evaluation as a table."""

from rich.table import Table

from mmest.measure.parameters import render


def metrics_table(metrics: dict[str, float]) -> str:
    """Metrics by name, one a line. Their scale is that of the metric: COCO's AP lies in 0..1, mmseg's mIoU in
    0..100. Of what there is not, such as small objects, COCO's AP is -1, shown as a dash.
    """
    table = Table('metric', 'value')
    table.columns[1].justify = 'right'
    for name, value in metrics.items():
        table.add_row(name, '–' if value == -1 else f'{value:.4g}')
    return render(table)
