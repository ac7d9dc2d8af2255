"""Score a trained model, draw its predictions."""

import argparse
from pathlib import Path

from mmengine.dist import is_main_process

from mmest.cli._options import add_config, add_run_options
from mmest.cli._places import file_to_write, folder_to_write
from mmest.cli._refusal import refusing
from mmest.configs import check_parts, read_config
from mmest.engine.drawing import PredictionPictures
from mmest.engine.launch import default_work_dir, use_submission
from mmest.engine.metrics import metrics_table
from mmest.engine.run import RunFailed, run_test
from mmest.files import write_json
from mmest.frameworks import framework_of

EPILOG = """\
examples:
  # metrics on the test data of the config
  mmest test segmentation/loveda/upernet work_dirs/loveda_upernet_swin-t_est/iter_80000.pth

  # keep the figures, and the predictions drawn into the images
  mmest test CONFIG CHECKPOINT --out metrics.json --show-dir predictions/

  # DOTA, LoveDA: run on the pictures of the server and write the files that it takes
  mmest test CONFIG CHECKPOINT --submission submission/

  # on other data
  mmest test CONFIG CHECKPOINT --cfg-options test_dataloader.dataset.data_root=/data/other/

  # four GPUs
  torchrun --nproc_per_node 4 -m mmest test CONFIG CHECKPOINT

CHECKPOINT may be a delta checkpoint, which holds only what was trained, or an ordinary one. The config has to name
the backbone and the method that the checkpoint was trained with; --backbone and --tuning swap them as in mmest train.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser, 'the config that the model was trained with')
    parser.add_argument('checkpoint', metavar='CHECKPOINT', help='what training wrote')
    parser.add_argument('--tuning', metavar='NAME', help='the method it was trained with, if not that of the config')
    parser.add_argument(
        '--show-dir', type=folder_to_write, metavar='DIR', help='draw predictions beside the ground truth there'
    )
    parser.add_argument(
        '--submission',
        type=folder_to_write,
        metavar='DIR',
        help='run on the data that a server scores, and write the files for it there',
    )
    parser.add_argument(
        '--out', type=file_to_write, metavar='FILE', help='write the metrics there as JSON: {name: value}'
    )
    add_run_options(parser)


def run(args: argparse.Namespace) -> None:
    with refusing():
        cfg = read_config(args.config, args.cfg_options, args.tuning, args.backbone)
        cfg.work_dir = str(args.work_dir or cfg.get('work_dir') or default_work_dir(cfg))
        if not Path(args.checkpoint).is_file() and '://' not in args.checkpoint:
            raise FileNotFoundError(f'There is no checkpoint "{args.checkpoint}".')
        cfg.load_from, cfg.resume = args.checkpoint, False  # the config may be of a resumed training
        if args.submission:
            use_submission(cfg, args.submission)
        check_parts(cfg, ['test_dataloader', 'test_cfg', 'test_evaluator'])
        if args.show_dir and not cfg.get('visualizer'):
            cfg.visualizer = dict(type=framework_of(cfg).visualizer)
    hooks = [PredictionPictures(args.show_dir)] if args.show_dir else []
    with refusing(RunFailed):
        metrics = run_test(cfg, args.launcher, hooks)
    if not is_main_process():
        return
    print(metrics_table(metrics) if metrics else 'No score, as where a model detects nothing.')
    if metrics and not args.submission:
        print(f'Scores of each class, where the metric has them: {Path(cfg.work_dir, "test.log")}')
    if args.show_dir:
        print(f'Wrote images with predictions into {args.show_dir}')
    if args.submission:
        print(f'Wrote {", ".join(str(path) for path in sorted(args.submission.glob("*.zip")))}')
    if args.out:
        write_json(args.out, metrics)
        print(f'Wrote {args.out}')
