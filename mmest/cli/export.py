"""Join what was trained and the backbone's weights to one checkpoint. Or write them as an ONNX graph."""

import argparse
import io
from contextlib import redirect_stdout
from pathlib import Path

from mmengine.logging import MMLogger

from mmest.checkpoints.delta import DELTA_KEY
from mmest.cli._options import add_trust, at_least, between
from mmest.cli._places import default_to_write, file_to_write
from mmest.cli._refusal import Refusal, refusing
from mmest.engine.export import export
from mmest.onnx.export import export_onnx

EPILOG = """\
examples:
  # writes work_dirs/dubai_segformer_deit-t_est/iter_1000_whole.pth
  mmest export work_dirs/dubai_segformer_deit-t_est/iter_1000.pth

  mmest export DELTA --config segmentation/dubai/segformer_deit-t_est --out model.pth

  # fold LoRA or SSF into the backbone's own weights
  mmest export work_dirs/retinanet_swin-t_lora/epoch_12.pth --merge

  # one ONNX graph for tiles of 512×512 pixels, of 20 cm each: for onnxruntime, mmest predict, and Deepness in QGIS
  mmest export DELTA --onnx --tile 512 --resolution 20

  # one for pictures of any size
  mmest export DELTA --onnx --dynamic

Of methods without modules of their own (full, frozen, partial, bitfit, norm_tuning), and of lora and ssf with
--merge, the result loads in plain mmdet or mmseg, without mmest; of the others it loads in the same config, and needs
no pretrained file any more. An ONNX graph needs neither mmest nor torch to run; it is compared with torch before it is
written. Averaged weights (EMA) are exported where there are some.
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
    parser.add_argument(
        '--out', type=file_to_write, metavar='FILE', help='where to write (default: DELTA_whole.pth; DELTA.onnx)'
    )
    parser.add_argument(
        '--merge',
        action='store_true',
        help='fold what the method added into the weights of the backbone, where mathematics allows it',
    )
    parser.add_argument(
        '--onnx', action='store_true', help='write a segmentor or a one-stage detector as an ONNX graph instead'
    )
    onnx = parser.add_argument_group('ONNX')
    onnx.add_argument(
        '--tile', type=at_least(32), metavar='N', help='side of its tiles in pixels (default: what training showed)'
    )
    onnx.add_argument(
        '--dynamic', action='store_true', help='take other heights and widths too, multiples of 32 as a rule'
    )
    onnx.add_argument('--fp16', action='store_true', help='compute in half precision')
    onnx.add_argument(
        '--resolution',
        type=between(1e-3, 1e6),
        metavar='CM',
        help='centimetres of ground in a pixel, which QGIS then resamples maps to',
    )
    add_trust(parser)


def run(args: argparse.Namespace) -> None:
    if args.onnx:
        _export_onnx(args)
        return
    for_onnx = [name for name in ('tile', 'dynamic', 'fp16', 'resolution') if getattr(args, name)]
    if for_onnx:
        raise Refusal(f'--{for_onnx[0]} is for ONNX graphs; add --onnx, or leave it out.')
    out = args.out or default_to_write(args.delta.with_name(f'{args.delta.stem}_whole.pth'))
    with refusing(RuntimeError):
        state = export(args.delta, out, args.config, args.merge)
    print(f'Wrote {out}: {len(state)} tensors, {out.stat().st_size / 2**20:.1f} MB')
    if any(key.endswith(DELTA_KEY) for key in state):
        print(
            'It loads where mmest is installed, for it has the modules of its method in it. Those of lora and ssf are '
            'folded into the backbone by --merge.'
        )


def _export_onnx(args: argparse.Namespace) -> None:
    MMLogger.get_current_instance().setLevel('WARNING')
    out = args.out or default_to_write(args.delta.with_suffix('.onnx'))
    with refusing():
        if args.merge:
            raise ValueError('--merge is for checkpoints: a graph holds what the method added in any case.')
        if out.resolve() == args.delta.resolve():
            raise ValueError(f'The graph cannot go to {out}; name a file of its own by --out.')
        with redirect_stdout(io.StringIO()):  # mmengine prints what it loads
            made = export_onnx(args.delta, out, args.config, args.tile, args.fp16, args.resolution, args.dynamic)
    pictures = f'pictures of {made.side}×{made.side} pixels'
    if made.multiple:
        pictures = f'pictures with sides of multiples of {made.multiple} pixels from {made.least} on'
    print(
        f'Wrote {out}: {pictures}, {made.nbytes / 2**20:.1f} MB. onnxruntime and torch differ by {made.error:.1g} at '
        f'most: {made.compared} compared.'
    )
