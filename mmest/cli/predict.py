"""Detect objects or segment ground in images of any size."""

import argparse
import io
import signal
import sys
from contextlib import redirect_stdout
from pathlib import Path

from mmengine.logging import MMLogger
from rich.progress import Progress

from mmest.cli._options import add_trust, at_least, between
from mmest.cli._refusal import Refusal, refusing
from mmest.files import remove_leftovers
from mmest.measure.device import usable_device
from mmest.pictures import ImageFile
from mmest.prediction.boxes import predict_boxes
from mmest.prediction.masks import predict_mask
from mmest.prediction.model import Model
from mmest.prediction.results import check_results, find_images, unfinished
from mmest.prediction.shares import Processes, working_together
from mmest.tiles.parts import tiles_with_parts

EPILOG = """\
examples:
  # boxes: scene.geojson, scene_coco.json and scene_overlay.png, a small image to look at, in predictions/
  mmest predict work_dirs/dota_faster-rcnn_swin-t_est/epoch_12.pth scene.tif

  # ground cover: scene_mask.tif with the georeference of scene.tif (scene_mask.png without one), scene_overlay.png
  mmest predict work_dirs/loveda_upernet_swin-t_est/iter_80000.pth scene.tif --out maps/

  # all images of a folder, smaller tiles, surer boxes
  mmest predict MODEL images/ --tile 800 --overlap 160 --score 0.5

  # four GPUs share the images of a folder; after an interruption the same command goes on
  torchrun --nproc_per_node 4 -m mmest predict MODEL images/ --out maps/ --resume

MODEL carries its config, which is Python that is run: trust the file, or pass --config. Images are shown to it at the
scale of its training, tile by tile. Tiles are merged: detections of one object become one also where it is larger than
a tile, and each pixel of a mask comes from the tile whose borders are farther. With rasterio (pip install rasterio)
TIFF is read window by window, so that memory does not grow with the image, and its georeference is kept: GeoJSON then
holds longitude and latitude. Without it GeoJSON holds coordinates of the map (world files) or pixels. Ground without
data (nodata, transparent, NaN) is 255 in masks and has no objects. Of more than three bands the first three are taken.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('model', metavar='MODEL', type=Path, help='a checkpoint that training or mmest export wrote')
    parser.add_argument(
        'images', metavar='IMAGE', type=Path, nargs='+', help='TIFF, PNG, JPEG, ...; or folders of them'
    )
    parser.add_argument(
        '--out', type=Path, default=Path('predictions'), metavar='DIR', help='where to write (default: predictions)'
    )
    parser.add_argument(
        '--config',
        type=Path,
        metavar='CONFIG',
        help='the config that it was trained with (default: the copy inside MODEL)',
    )
    parser.add_argument(
        '--tile', type=at_least(32), metavar='N', help='side of a tile in pixels (default: what training showed)'
    )
    parser.add_argument(
        '--overlap',
        type=at_least(0),
        metavar='N',
        help='pixels that tiles share, by which objects are joined (default: a fifth of a tile)',
    )
    parser.add_argument(
        '--score', type=between(0, 1), default=0.3, metavar='S', help='leave out boxes below (default: 0.3)'
    )
    parser.add_argument(
        '--scale',
        type=float,
        nargs=2,
        metavar=('LOW', 'HIGH'),
        help="values that become 0 and 255 in images of more than 8 bits (default: the config's image_scale)",
    )
    there = parser.add_mutually_exclusive_group()
    there.add_argument('--overwrite', action='store_true', help='replace results that are there')
    there.add_argument(
        '--resume', action='store_true', help='go on: leave out images whose results are there and whole'
    )
    parser.add_argument('--device', default=None, metavar='D', help='cpu, cuda:0, ... (default: a GPU if there is one)')
    add_trust(parser)


def run(args: argparse.Namespace) -> None:
    MMLogger.get_current_instance().setLevel('WARNING')  # what is loaded from where, three times over
    with working_together() as processes:
        with refusing(FileExistsError):
            images = find_images(args.images)
            with redirect_stdout(io.StringIO()):  # mmengine prints it too
                model = Model(args.model, args.config, usable_device(args.device))
            check_results(images, args.out, model.detects, args.overwrite or args.resume)
            left = unfinished(images, args.out, model.detects, args.model) if args.resume else images
        tile = args.tile or model.tile
        overlap = tile // 5 if args.overlap is None else args.overlap
        if not 0 <= overlap < tile:
            raise Refusal(f'--overlap should be from 0 to below the side of a tile, {tile}, but it is {overlap}.')
        if processes.first:
            remove_leftovers(args.out)
            if len(left) < len(images):
                print(f'{len(images) - len(left)} of {len(images)} images have their results.')
        processes.wait()  # nothing is written before all have looked at what is there
        # As Ctrl-C: what is half written is removed on the way out.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            failed = processes.total(_predict(args, model, processes, left, tile, overlap))
        finally:
            signal.signal(signal.SIGTERM, before)
    if failed and processes.first:
        raise Refusal(f'{failed} of {len(images)} images could not be used.')


def _predict(
    args: argparse.Namespace, model: Model, processes: Processes, images: list[Path], tile: int, overlap: int
) -> int:
    """Predict on this process's share of the images; how many could not be used."""
    failed = 0
    with Progress(disable=not processes.first) as bars:
        for path in processes.share(images):
            try:
                with ImageFile(path, scale=args.scale or model.image_scale) as image:
                    count = sum(1 for _ in tiles_with_parts(image.width, image.height, tile, overlap))
                    bar = bars.add_task(path.name, total=count)
                    shared = (model, image, args.out, tile, overlap)
                    written = (
                        predict_boxes(*shared, args.score, lambda: bars.advance(bar))
                        if model.detects
                        else predict_mask(*shared, lambda: bars.advance(bar))
                    )
                    note = f'; {image.georeference.note}' if image.georeference.note else ''
            except (ValueError, OSError) as error:
                failed += 1
                if getattr(error, 'errno', None):  # of the system, such as a full disk
                    error = f'The results of {path} cannot be written to {args.out}: {error.strerror}.'
                bars.console.print(f'predict: {error}', soft_wrap=True, markup=False)
                continue
            bars.console.print(f'Wrote {", ".join(map(str, written))}{note}', soft_wrap=True, markup=False)
    return failed
