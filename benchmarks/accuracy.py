"""Train and score configs under several tuning methods, one JSON file per run."""
import argparse
import json
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Dict, Iterator, List

ROOT = Path(__file__).resolve().parents[1]
EPILOG = """\
examples:
  # the four methods on one config; runs that have a result already are not repeated
  MMEST_DATA=data MMEST_WEIGHTS=weights python benchmarks/accuracy.py configs/segmentation/dubai/segformer_deit-t_est.py

  # a sweep of one method's learning rate; its results carry the factor in their names
  python benchmarks/accuracy.py CONFIG --tunings est --lr-mults 0.3 1 3 --out benchmarks/sweeps

A run is tools/train.py in a process of its own, in work_dirs/benchmarks. One that fails leaves a JSON file that says so.
"""


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='+', metavar='CONFIG', type=Path)
    parser.add_argument('--tunings', nargs='+', default=['full', 'frozen', 'partial', 'est'], metavar='NAME')
    parser.add_argument('--seeds', nargs='+', type=int, default=[0], metavar='N')
    parser.add_argument('--lr-mults', nargs='+', type=float, metavar='X',
                        help="factors on the method's learning rate (default: what configs/_base_/tunings says)")
    parser.add_argument('--cfg-options', nargs='+', default=[], metavar='KEY=VALUE', help='handed to tools/train.py')
    parser.add_argument('--out', type=Path, default=ROOT / 'benchmarks' / 'results', metavar='DIR')
    return parser.parse_args()


def cells(args: argparse.Namespace) -> Iterator[Dict]:
    """Every run of the grid: config, method, factor (or None), seed, name."""
    for config in args.configs:
        head = config.stem.rpartition('_')[0]
        for seed in args.seeds:
            for tuning in args.tunings:
                for factor in args.lr_mults or [None]:
                    name = f'{config.parent.name}_{head}_{tuning}_seed{seed}' + (f'_lr{factor:g}' if factor else '')
                    yield dict(name=name, config=config, tuning=tuning, factor=factor, seed=seed)


def train(cell: Dict, options: List[str], work_dir: Path) -> Dict:
    """Run one training; returns what its logs say."""
    command = [sys.executable, '-W', 'ignore', str(ROOT / 'tools' / 'train.py'), str(cell['config']), '--tuning', cell['tuning'],
               '--seed', str(cell['seed']), '--work-dir', str(work_dir)]
    if cell['factor']:
        options = [*options, f'model.backbone.tuning.lr_mult={cell["factor"]}']
    if options:
        command += ['--cfg-options', *options]
    work_dir.mkdir(parents=True, exist_ok=True)
    start = time.time()
    with open(work_dir / 'stdout.txt', 'w') as log:
        code = subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, cwd=ROOT).returncode
    result = dict(wall_seconds=round(time.time() - start, 1), failed=code != 0)
    if code:
        result['error'] = (work_dir / 'stdout.txt').read_text().splitlines()[-5:]
        return result
    newest = max(work_dir.glob('*/vis_data/scalars.json'), key=lambda path: path.stat().st_mtime)
    lines = [json.loads(line) for line in newest.read_text().splitlines()]
    result['losses'] = [[line['step'], line['loss']] for line in lines if 'loss' in line]
    result['metrics'] = {key: value for key, value in lines[-1].items() if 'mAP' in key or key in ('mIoU', 'mAcc', 'aAcc')}
    if not result['metrics']:
        raise SystemExit(f'{newest} ends without a metric.')
    return result


def describe(cell: Dict, work_dir: Path) -> Dict:
    """What it takes to repeat the run."""
    from mmengine.config import Config
    from mmengine.registry import MODELS, init_default_scope

    from mmest.engine.memory.compare import versions, without_pretrained
    from mmest.engine.report import parameter_counts
    cfg = Config.fromfile(next(work_dir.glob('*.py')))
    init_default_scope(cfg.default_scope)
    model = MODELS.build(without_pretrained(cfg.model))
    commit = subprocess.run(['git', 'rev-parse', 'HEAD'], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    return dict(
        name=cell['name'], config=str(cell['config']), tuning=dict(cfg.model.backbone.tuning), seed=cell['seed'],
        task='detection' if cfg.default_scope == 'mmdet' else 'segmentation', dataset=cell['config'].parent.name,
        head_and_backbone=cell['config'].stem.rpartition('_')[0], method=cell['tuning'],
        learning_rate=cfg.optim_wrapper.optimizer.lr,
        parameters=parameter_counts(model),
        hardware=f'{platform.machine()}, {os.environ.get("OMP_NUM_THREADS", os.cpu_count())} CPU threads', commit=commit,
        versions=versions())


def main() -> None:
    args = parse_args()
    from mmest.engine.atomic import write_json
    args.out.mkdir(parents=True, exist_ok=True)
    grid = list(cells(args))
    for number, cell in enumerate(grid, 1):
        path = args.out / f'accuracy_{cell["name"]}.json'
        if path.is_file() and not json.loads(path.read_text()).get('failed'):
            print(f'[{number}/{len(grid)}] {cell["name"]}: there already', flush=True)
            continue
        print(f'[{number}/{len(grid)}] {cell["name"]} ...', flush=True)
        work_dir = ROOT / 'work_dirs' / 'benchmarks' / cell['name']
        result = train(cell, args.cfg_options, work_dir)
        described = dict(name=cell['name']) if result['failed'] else describe(cell, work_dir)
        write_json(path, {**described, **result})
        print(f'    {result.get("metrics") or result["error"]} in {result["wall_seconds"]:.0f} s', flush=True)


if __name__ == '__main__':
    main()
