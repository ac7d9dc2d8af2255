"""Join what was trained and the backbone's weights to one checkpoint. What was trained is a delta checkpoint."""

import argparse
from pathlib import Path

from mmest.cli._options import add_trust
from mmest.cli._refusal import refusing
from mmest.engine.export import export

EPILOG = """\
examples:
  # writes work_dirs/dubai_segformer_deit-t_est/iter_1000_whole.pth
  mmest export work_dirs/dubai_segformer_deit-t_est/iter_1000.pth

  mmest export DELTA --config segmentation/dubai/segformer_deit-t_est --out model.pth

  # fold LoRA or SSF into the backbone's own weights
  mmest export work_dirs/retinanet_swin-t_lora/epoch_12.pth --merge

Of methods without modules of their own (full, frozen, partial, bitfit, norm_tuning), and of lora and ssf with
--merge, the result loads in plain mmdet or mmseg, without mmest; of the others it loads in the same config, and needs
no pretrained file any more. Averaged weights (EMA) are exported where there are some.
The config inside the checkpoint is Python that is run; --config takes another.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('delta', metavar='DELTA', type=Path, help='a checkpoint that training wrote')
    parser.add_argument(
        '--config',
        type=Path,
        metavar='CONFIG',
        help='the config that it was trained with (default: the copy inside the checkpoint)',
    )
    parser.add_argument('--out', type=Path, metavar='FILE', help='where to write (default: DELTA_whole.pth)')
    parser.add_argument(
        '--merge',
        action='store_true',
        help='fold what the method added into the weights of the backbone, where mathematics allows it',
    )
    add_trust(parser)


def run(args: argparse.Namespace) -> None:
    out = args.out or args.delta.with_name(f'{args.delta.stem}_whole.pth')
    with refusing(RuntimeError):
        state = export(args.delta, out, args.config, args.merge)
    print(f'Wrote {out}: {len(state)} tensors, {out.stat().st_size / 2**20:.1f} MB')
