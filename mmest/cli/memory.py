"""Measure the memory of a training step, method by method."""

import argparse

from mmengine.logging import MMLogger

from mmest.cli._options import add_step_options, as_given, at_least, step_of
from mmest.cli._places import folder_to_write
from mmest.cli._refusal import refusing
from mmest.files import write_json
from mmest.measure.memory.report import measure_and_show

EPILOG = """\
examples:
  # EST against full fine-tuning and the frozen floor, on the CPU: exact, no data set, nothing downloaded
  mmest memory detection/custom/faster-rcnn --tunings full frozen est

  # the same step on a GPU in mixed precision, with the allocator's figures beside, kept as JSON
  mmest memory CONFIG --device cuda --precision bf16 --batch-size 4 --size 800 800 --out memory.json

  # from full fine-tuning to the lowest, one rung a row: what each lever on memory saves
  mmest memory detection/custom/faster-rcnn --ladder

  # where in the network it is, and when in the step
  mmest memory CONFIG --tunings full est --per-module 3 --pictures pictures/

what is measured:
  One whole training step (forward, losses, backward, optimizer) after a warm-up step, on random
  images with 16 boxes each (detection) or a label map (segmentation). The live peak counts the bytes of all live
  tensors at the fullest moment. Everything in a row of the table was alive at that moment, and adds up to the peak:
  "saved" is what is kept for backward, and by whom; "heads" are neck and heads. MB = 1024 * 1024 bytes. On CUDA the
  allocator's peak stands beside it: at least the live peak, at most 5 % and 96 MB more; (!) marks what is not.

what is written:
  config, head_and_backbone, size [H, W], batch_size, boxes_per_image (null in segmentation), device, precision,
  optimizer, versions, tunings: {NAME: {
    tuning          the method's config
    memory          the levers that were on
    parameters      {backbone, trained_by_method (in or beside the backbone), trained_in_heads (neck too)}
    peak            bytes
    share_of_full   peak / peak of "full", null if full was not measured
    attribution     bytes at the peak, adding up to it: weights_frozen, weights_trainable, gradients, optimizer,
                    saved_backbone, saved_side, saved_heads, inputs, transient
    phase, part, operator   when the peak was
    modules         with --per-module: {MODULE: {category: bytes}}, adding up to the peak as well
    allocator       on CUDA: max_allocated, max_reserved (bytes), card, driver, cuda, torch; null on the CPU}}
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_step_options(parser)
    parser.add_argument(
        '--ladder',
        action='store_true',
        help='in place of --tunings: full fine-tuning, what one would take instead, EST, and EST with each lever',
    )
    parser.add_argument(
        '--per-module',
        type=at_least(1),
        metavar='DEPTH',
        help='also list what each module holds at the peak, down to names of so many parts',
    )
    parser.add_argument(
        '--pictures',
        type=folder_to_write,
        metavar='DIR',
        help='also draw live memory over the step, one PNG per method',
    )


def run(args: argparse.Namespace) -> None:
    MMLogger.get_current_instance().setLevel('ERROR')  # it would list how every parameter is initialised
    with refusing(TypeError):
        cfg, size = step_of(args)
        record = measure_and_show(
            as_given(args),
            cfg,
            [] if args.ladder else args.tunings,
            size,
            args.batch_size,
            args.device,
            args.precision,
            args.per_module,
            args.pictures,
        )
    if args.out:
        write_json(args.out, record)
        print(f'Wrote {args.out}')
