"""Train a detector or a segmentor."""

import argparse
from functools import partial
from pathlib import Path

from mmengine.config import Config

from mmest.checkpoints.files import is_complete
from mmest.cli._options import add_config, add_memory, add_run_options, seed
from mmest.cli._own_data import add_own_data, config_to_train
from mmest.cli._places import folder_to_write
from mmest.cli._refusal import refusing
from mmest.engine.features.hook import VIEWS
from mmest.engine.launch import CURVES, all_or_none, default_work_dir, send_curves, use_amp
from mmest.engine.resume import check_same_method, latest_complete_checkpoint
from mmest.engine.run import RunFailed, run_training
from mmest.engine.work_folder import hold, refuse_earlier_run, refuse_to_remove_the_start

EPILOG = """\
examples:
  # what the config says; the result is in work_dirs/loveda_upernet_swin-t_est
  mmest train segmentation/loveda/upernet

  # another backbone and another method: work_dirs/loveda_upernet_vit-b_lora; the name of that run says the same
  mmest train segmentation/loveda/upernet --backbone vit-b --tuning lora
  mmest train segmentation/loveda/upernet_vit-b_lora

  # a config of mmdet or mmseg, or your own; another seed, mixed precision
  mmest train mmdet::fcos/fcos_r50-caffe_fpn_gn-head_1x_coco --tuning est
  mmest train CONFIG --seed 1 --amp

  # all that saves memory and is safe; docs/memory.md says what each lever does
  mmest train CONFIG --memory lowest

  # go on after an interruption, from the newest complete checkpoint of the working folder
  mmest train CONFIG --resume

  # your own data, a smaller step, another learning rate of the method
  mmest train CONFIG --cfg-options train_dataloader.dataset.data_root=/data/mine \\
      train_dataloader.batch_size=2 model.backbone.tuning.lr_mult=3

  # start from a detector that was trained without mmest
  mmest train CONFIG --tuning est --weights mine.pth --cfg-options load_from=mine.pth

  # your own labelled images, without a config: COCO, YOLO, Pascal VOC, masks, or GeoTIFF with vector labels
  mmest train --data ~/Downloads/planes.v1.coco --model faster-rcnn --backbone swin-t --tuning est

  # run the frozen backbone once per image and view, and train on from what it computed
  mmest train CONFIG --tuning est --cache-features /fast/features --cfg-options feature_cache.views=2

  # four GPUs
  torchrun --nproc_per_node 4 -m mmest train CONFIG

mmest configs lists all names. Options win over --tuning and --backbone, and these over the config.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser, nargs='?')
    parser.add_argument('--tuning', metavar='NAME', help="tune the backbone by this method instead of the config's")
    add_memory(parser)
    parser.add_argument('--amp', action='store_true', help='mixed precision: float16 on CUDA, bfloat16 on a CPU')
    parser.add_argument(
        '--resume',
        nargs='?',
        const='',
        metavar='FILE',
        help='go on from a checkpoint; without FILE from the newest complete one of the working folder, '
        'or from the start if there is none',
    )
    parser.add_argument(
        '--allow-partial-resume',
        action='store_true',
        help='resume from weights alone where the state of the optimizer or the schedule is missing',
    )
    parser.add_argument(
        '--overwrite',
        action='store_true',
        help='remove checkpoints and logs that another run left in the working folder, when the training can start',
    )
    parser.add_argument('--seed', type=seed, metavar='N', help='seed of all random numbers')
    parser.add_argument('--weights', type=Path, metavar='FILE', help='pretrained weights of the backbone, from a file')
    parser.add_argument(
        '--cache-features',
        type=folder_to_write,
        metavar='DIR',
        help='keep there what a frozen backbone computes, and train on without running it; each image is then seen in '
        f'{VIEWS} views (feature_cache.views)',
    )
    parser.add_argument(
        '--curves', action='append', default=[], choices=sorted(CURVES), help='send losses and metrics there too'
    )
    parser.add_argument('--verbose', action='store_true', help="show mmengine's log instead of one line")
    add_run_options(parser)
    add_own_data(parser)


def run(args: argparse.Namespace) -> None:
    with refusing():
        if args.resume is not None and args.overwrite:
            raise ValueError('Either --resume goes on with what is there or --overwrite removes it; leave one out.')
        if args.resume is None and args.allow_partial_resume:
            raise ValueError('--allow-partial-resume goes with --resume; add that, or leave it out.')

        cfg = config_to_train(args, before_writing=partial(_enter, args), resume=args.resume)
        cfg.work_dir = str(args.work_dir or cfg.get('work_dir') or default_work_dir(cfg))
        _enter(args, cfg)
        if args.curves:
            send_curves(cfg, args.curves)
        if args.cache_features:
            cfg.feature_cache = dict(cfg.get('feature_cache') or {}, folder=str(args.cache_features))
        if args.amp:
            use_amp(cfg)
        if args.seed is not None:
            cfg.merge_from_dict(dict(randomness=dict(seed=args.seed)))
        if args.resume is not None:
            checkpoint = args.resume or latest_complete_checkpoint(cfg.work_dir)
            if checkpoint and not is_complete(checkpoint):
                raise FileNotFoundError(f'--resume: "{checkpoint}" is not there, or is not a complete checkpoint.')
            if checkpoint:
                check_same_method(cfg, checkpoint)
                cfg.load_from = str(checkpoint)
            else:
                print(f'No complete checkpoint in {cfg.work_dir}: training starts from the beginning.')
            cfg.resume = bool(checkpoint)
            cfg.allow_partial_resume = args.allow_partial_resume
        if args.overwrite:
            all_or_none(cfg, args.launcher, partial(refuse_to_remove_the_start, cfg))
    with refusing(RunFailed):
        run_training(cfg, args.launcher, args.verbose, args.overwrite)


def _enter(args: argparse.Namespace, cfg: Config) -> None:
    """Look whether a work folder is free for this training; nothing in it is changed yet."""

    def look() -> None:
        hold(cfg.work_dir)
        if args.resume is None and not args.overwrite:
            refuse_earlier_run(cfg.work_dir)

    all_or_none(cfg, args.launcher, look)
