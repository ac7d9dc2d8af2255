"""Make docs/results.md from the JSON files in benchmarks/results; nobody types a figure."""
import argparse
import json
import statistics
from itertools import groupby
from pathlib import Path
from typing import Dict, List

ROOT = Path(__file__).resolve().parents[1]
METHODS = ('full', 'frozen', 'partial', 'est')
METRICS = dict(detection=('coco/bbox_mAP', 'coco/bbox_mAP_50'), segmentation=('mIoU', 'aAcc'))
HEAD = '''# Results

Made by `make tables` from the JSON files in `benchmarks/results`; each has the config, versions, seed and hardware of its run. A
cell that was not measured is empty.
'''


def read(results: Path, kind: str) -> List[Dict]:
    """The records of one kind, in the order of their names."""
    return [json.loads(path.read_text()) for path in sorted(results.glob(f'{kind}_*.json'))]


def markdown(rows: List[Dict]) -> str:
    """Rows as a Markdown table; a row may lack columns of the first."""
    columns = max(rows, key=len)
    lines = ['| ' + ' | '.join(columns) + ' |', '|' + '---|' * len(columns)]
    return '\n'.join(lines + ['| ' + ' | '.join(str(row.get(name, '')) for name in columns) + ' |' for row in rows])


def spread(values: List[float]) -> str:
    """Mean, and standard deviation where there is more than one seed."""
    return f'{statistics.mean(values):.1f}' + (f' ± {statistics.stdev(values):.1f}' if len(values) > 1 else '')


def accuracy(records: List[Dict]) -> str:
    """One table per data set, head and backbone: methods against metrics in per cent."""
    parts = [f'Failed: `{r["name"]}`: {r["error"][-1]}' for r in records if r['failed']]
    done = sorted((r for r in records if not r['failed']), key=model_of)
    for (dataset, model), group in groupby(done, key=model_of):
        by_method = {method: [] for method in METHODS}
        for record in group:
            by_method[record['method']].append(record)
        rows = [dict(method=method, **method_row(runs)) for method, runs in by_method.items()]
        parts.append(f'### {dataset}, {model}\n\n{markdown(rows)}')
    return '\n\n'.join(parts)


def model_of(record: Dict) -> tuple:
    return record['dataset'], record['head_and_backbone']


def method_row(runs: List[Dict]) -> Dict:
    """The cells of one method's runs that differ in their seed."""
    if not runs:
        return {}
    one, row = runs[0], {}
    for metric in METRICS[one['task']]:
        scale = 100 if 'mAP' in metric else 1
        row[metric.rpartition('/')[2]] = spread([run['metrics'][metric] * scale for run in runs])
    trained = one['parameters']['trained_by_method']
    row['trained in or beside the backbone'] = f'{trained:,}'
    row['its share'] = f'{trained / one["parameters"]["backbone"]:.2%}'
    row['trained in neck and head'] = f'{one["parameters"]["trained_in_heads"]:,}'
    row['learning rate'] = f'{one["learning_rate"] * one["tuning"].get("lr_mult", 1):g}' if trained else ''
    row['seeds'] = len(runs)
    return row


def memory(records: List[Dict]) -> str:
    """Live peaks of a training step and what they are made of, in MB."""
    parts = []
    for record in records:
        height, width = record['size']
        rows = []
        for method, cell in record['tunings'].items():
            a, share = cell['attribution'], cell['share_of_full']
            rows.append({
                'method': method, 'live peak, MB': f'{cell["peak"] / 2**20:.0f}',
                'share of full': '' if share is None else f'{share:.1%}',
                'trained in or beside the backbone': f'{cell["parameters"]["trained_by_method"]:,}',
                'its share': f'{cell["parameters"]["trained_by_method"] / cell["parameters"]["backbone"]:.2%}',
                **{name: f'{a[key] / 2**20:.0f}' for name, key in (
                    ('saved by backbone', 'saved_backbone'), ('by side network', 'saved_side'), ('by neck and head', 'saved_heads'))}})
        title = f'{Path(record["config"]).stem.rpartition("_")[0]}, {record["batch_size"]} × {height}×{width}, ' \
                f'{record["precision"]}, {record["optimizer"]}'
        parts.append(f'### {title}\n\n{markdown(rows)}')
    return '\n\n'.join(parts)


def times(records: List[Dict]) -> str:
    """Medians of a training step, and its quartiles, as shares of the median of full fine-tuning."""
    parts = []
    for record in records:
        full, (height, width) = record['median_seconds']['full'], record['size']
        rows = []
        for name, seconds in record['seconds'].items():
            low, median, high = (value / full for value in statistics.quantiles(seconds, n=4, method='inclusive'))
            rows.append({'method': name, 'share of full': f'{median:.2f}', 'quartiles': f'{low:.2f} to {high:.2f}'})
        where = record['card'] or f'CPU, {record["threads"]} threads'
        title = f'{Path(record["config"]).stem.rpartition("_")[0]}, {record["batch_size"]} × {height}×{width}, {where}'
        parts.append(f'### {title}\n\n{markdown(rows)}')
    return '\n\n'.join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--results', type=Path, default=ROOT / 'benchmarks' / 'results', metavar='DIR')
    parser.add_argument('--out', type=Path, default=ROOT / 'docs' / 'results.md', metavar='FILE')
    args = parser.parse_args()
    notes = ROOT / 'benchmarks' / 'notes.md'
    parts = [HEAD]
    for title, kind, table in (('Accuracy on real data', 'accuracy', accuracy), ('Memory', 'memory', memory), ('Time', 'time', times)):
        records = read(args.results, kind)
        if records:
            parts.append(f'## {title}\n\n{table(records)}\n')
    if notes.is_file():
        parts.append(notes.read_text())
    args.out.write_text('\n'.join(parts))
    print(f'Wrote {args.out}')


if __name__ == '__main__':
    main()
