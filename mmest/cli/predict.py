"""Detect objects or segment ground in images of any size."""

import argparse
from pathlib import Path

import torch
from rich.progress import Progress

from mmest.cli._options import at_least
from mmest.cli._refusal import Refusal, refusing
from mmest.pictures import ImageFile
from mmest.prediction.boxes import predict_boxes
from mmest.prediction.masks import predict_mask
from mmest.prediction.model import Model
from mmest.tiles.parts import tiles_with_parts

EPILOG = """\
examples:
  # boxes: scene.geojson, scene_coco.json and scene_overlay.png, a small picture to look at, in predictions/
  mmest predict work_dirs/dota_faster-rcnn_swin-t_est/epoch_12.pth scene.tif

  # ground cover: scene_mask.tif with the georeference of scene.tif (scene_mask.png without one), scene_overlay.png
  mmest predict work_dirs/loveda_upernet_swin-t_est/iter_80000.pth scene.tif --out maps/

  # many pictures, smaller tiles, surer boxes
  mmest predict MODEL pictures/*.png --tile 800 --overlap 160 --score 0.5

MODEL carries its config, which is Python that is run: use only files that you trust. Tiles are merged: detections of
one object become one also where it is larger than a tile, and each pixel of a mask comes from the tile whose borders
are farther. With rasterio (pip install rasterio) TIFF is read window by window, so that memory does not grow with the
picture, and its georeference is kept: GeoJSON then holds longitude and latitude. Without it GeoJSON holds pixels.
Pictures have 8 bits a band, of which the first three are taken.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('model', metavar='MODEL', type=Path, help='a checkpoint that training or mmest export wrote')
    parser.add_argument('pictures', metavar='IMAGE', type=Path, nargs='+', help='TIFF, PNG, JPEG, ...')
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
        '--tile',
        type=at_least(32),
        metavar='N',
        help='side of a tile in pixels (default: 1024 for boxes, the crop of the training for masks)',
    )
    parser.add_argument('--overlap', type=int, metavar='N', help='pixels that tiles share (default: a fifth of a tile)')
    parser.add_argument('--score', type=float, default=0.3, metavar='S', help='leave out boxes below (default: 0.3)')
    parser.add_argument('--device', default=None, metavar='D', help='cpu, cuda:0, ... (default: a GPU if there is one)')


def run(args: argparse.Namespace) -> None:
    names = [picture.stem for picture in args.pictures]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise Refusal(
            f'Results are named after their pictures, and {", ".join(twice)} is there twice; run them one by one.'
        )
    with refusing():
        model = Model(args.model, args.config, args.device or ('cuda:0' if torch.cuda.is_available() else 'cpu'))
    tile = args.tile or model.tile
    overlap = tile // 5 if args.overlap is None else args.overlap
    if not 0 <= overlap < tile:
        raise Refusal(f'--overlap should be from 0 to below the side of a tile, {tile}, but it is {overlap}.')
    failed = 0
    with Progress() as bars:
        for path in args.pictures:
            try:
                picture = ImageFile(path)
                count = sum(1 for _ in tiles_with_parts(picture.width, picture.height, tile, overlap))
                bar = bars.add_task(path.name, total=count)
                shared = (model, picture, args.out, tile, overlap)
                written = (
                    predict_boxes(*shared, args.score, lambda: bars.advance(bar))
                    if model.detects
                    else predict_mask(*shared, lambda: bars.advance(bar))
                )
            except (ValueError, FileNotFoundError) as error:
                failed += 1
                bars.console.print(f'predict: {error}', soft_wrap=True, markup=False)
                continue
            picture.close()
            note = f'; {picture.georeference.note}' if picture.georeference.note else ''
            bars.console.print(f'Wrote {", ".join(map(str, written))}{note}', soft_wrap=True, markup=False)
    if failed:
        raise Refusal(f'{failed} of {len(args.pictures)} pictures could not be used.')
