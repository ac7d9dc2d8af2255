"""Detect objects or segment ground in images of any size."""

import argparse
import io
import shlex
import signal
import sys
from contextlib import ExitStack, closing, redirect_stdout
from pathlib import Path

from mmengine.logging import MMLogger
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from mmest.cli._options import add_bands, add_trust, at_least, between
from mmest.cli._prediction_task import DEFAULT_SCORE, Task, is_graph, reading_of
from mmest.cli._refusal import Refusal, refusing
from mmest.console import plain_console
from mmest.files import remove_leftovers
from mmest.pictures import ImageFile
from mmest.prediction.results import check_results, find_images, unfinished
from mmest.prediction.shares import Processes, working_together
from mmest.prediction.steps import in_turns
from mmest.prediction.together import share_backbones
from mmest.tiles.parts import tiles_with_parts

EPILOG = """\
examples:
  # boxes: scene.geojson, scene_coco.json and scene_overlay.png, a small image to look at, in predictions/
  mmest predict work_dirs/dota_faster-rcnn_swin-t_est/epoch_12.pth scene.tif

  # ground cover: scene_mask.tif with the georeference of scene.tif (scene_mask.png without one), scene_overlay.png
  mmest predict work_dirs/loveda_upernet_swin-t_est/iter_80000.pth scene.tif --out maps/

  # all images of a folder, smaller tiles, surer boxes
  mmest predict MODEL images/ --tile 800 --overlap 160 --score 0.5

  # an ONNX graph that mmest export --onnx wrote
  mmest predict model.onnx scene.tif

  # two tasks over one frozen backbone, which runs once for each tile: predictions/planes/ and predictions/roads/
  mmest predict --model planes.pth --model roads.pth scene.tif --tile 512

  # four GPUs share the images of a folder; after an interruption the same command goes on
  torchrun --nproc_per_node 4 -m mmest predict MODEL images/ --out maps/ --resume

Models that --model names share the forward pass of their frozen backbone where its weights, the preparation of images,
the scale and the tile are the same; others run by themselves, which is said. Results are those of each alone.

MODEL carries its config, which is Python that is run: trust the file, or pass --config. Images are shown to it at the
scale of its training, tile by tile. Tiles are merged: detections of one object become one also where it is larger than
a tile, and each pixel of a mask comes from the tile whose borders are farther. With rasterio (pip install rasterio)
TIFF is read window by window, so that memory does not grow with the image, and its georeference is kept: GeoJSON then
holds longitude and latitude. Without it GeoJSON holds coordinates of the map (world files) or pixels. Ground without
data (nodata, transparent, NaN) is 255 in masks and has no objects. Of more than three bands the first three are taken;
a fourth that the file calls alpha says where there is data.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = f'{parser.prog} [options] MODEL IMAGE [IMAGE ...]'
    parser.add_argument(
        'places',
        metavar='MODEL IMAGE',
        type=Path,
        nargs='+',
        help='a checkpoint that training or mmest export wrote, or its ONNX graph; then TIFF, PNG, JPEG, ..., or '
        'folders of them',
    )
    parser.add_argument(
        '--model',
        dest='models',
        type=Path,
        action='append',
        metavar='MODEL',
        help='in place of the first MODEL, and again for each more; every one writes to a folder of its own in --out',
    )
    parser.add_argument(
        '--out', type=Path, default=Path('predictions'), metavar='DIR', help='where to write (default: predictions)'
    )
    parser.add_argument(
        '--config',
        type=Path,
        metavar='CONFIG',
        help='the config that a checkpoint was trained with (default: the copy inside MODEL)',
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
        '--score',
        type=between(0, 1),
        metavar='S',
        help=f'leave out boxes below (default: {DEFAULT_SCORE}); for detectors',
    )
    parser.add_argument(
        '--scale',
        type=float,
        nargs=2,
        metavar=('LOW', 'HIGH'),
        help="values that become 0 and 255 in images of more than 8 bits (default: the config's image_scale)",
    )
    add_bands(parser, "the config's image_bands, or the first three")
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
            paths, places = (args.models, args.places) if args.models else (args.places[:1], args.places[1:])
            if not places:
                raise ValueError(
                    'name a model and at least one image, or a folder of images: mmest predict MODEL IMAGE.'
                )
            if args.config and all(map(is_graph, paths)):
                raise ValueError('--config is for checkpoints: an ONNX graph holds what its config said. Leave it out.')
            images = find_images(places)
            with redirect_stdout(io.StringIO()):  # mmengine prints it too
                tasks = [Task(path, args, out) for path, out in _folders(paths, args.out).items()]
            if args.score is not None and not any(task.model.detects for task in tasks):
                raise ValueError(f'--score is for detectors, but {paths[0]} segments ground. Leave it out.')
            for task in tasks:
                check_results(images, task.out, task.model.detects, args.overwrite or args.resume)
                if args.resume:
                    task.left = set(unfinished(images, task.out, task.model.detects, task.options))
        left = [image for image in images if any(task.wants(image) for task in tasks)]
        places_by_backbone = share_backbones([task.model for task in tasks], [task.tile for task in tasks])
        groups = [[tasks[place] for place in group] for group in places_by_backbone]
        if processes.first:
            for task in tasks:
                remove_leftovers(task.out)
                task.say_lowest_score()
            if len(left) < len(images):
                print(f'{len(images) - len(left)} of {len(images)} images have their results.')
            if len(tasks) > 1:
                print(_who_shares(groups))
        processes.wait()  # nothing is written before all have looked at what is there
        # As Ctrl-C: what is half written is removed on the way out.
        before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        try:
            failed = processes.total(_predict(args, tasks, processes, left))
        finally:
            signal.signal(signal.SIGTERM, before)
    if len(tasks) > 1 and processes.first:
        print(_who_took_what(groups))
    if failed and processes.first:
        raise Refusal(f'{failed} of {len(images)} images could not be used.')


def _folders(paths: list[Path], out: Path) -> dict[Path, Path]:
    """Where each model's results go: of several to a folder with the name of its file, or of its run where files of
    several runs have one name.
    """
    if len(paths) == 1:
        return {paths[0]: out}
    stems = [path.stem for path in paths]
    names = stems if len(set(stems)) == len(stems) else [f'{path.absolute().parent.name}_{path.stem}' for path in paths]
    if len(set(names)) < len(names):
        raise ValueError('--model names two files of one name; results go to folders of their names, so rename one.')
    return {path: out / name for path, name in zip(paths, names)}


def _who_shares(groups: list[list[Task]]) -> str:
    said = []
    for group in groups:
        names = ' and '.join(task.out.name for task in group)
        if len(group) > 1:
            said.append(f'{names} share one forward pass of their frozen backbone per tile')
        else:
            said.append(f'{names} (tiles of {group[0].tile}) runs by itself')
    return '; '.join(said) + '.'


def _who_took_what(groups: list[list[Task]]) -> str:
    """The first of those that share a backbone carries the time of its forward passes; the others are beside it."""
    said = []
    for first, *others in groups:
        said.append(f'{first.out.name} {first.seconds:.1f} s')
        shares = [task.seconds / (first.seconds or 1.0) for task in others]
        said += [f'{task.out.name} {task.seconds:.1f} s, {share:.2f} of that' for task, share in zip(others, shares)]
    return f'Time: {"; ".join(said)}.'


def _predict(args: argparse.Namespace, tasks: list[Task], processes: Processes, images: list[Path]) -> int:
    """Predict on this process's share of the images; how many could not be used."""
    failed, said_alpha = 0, False
    columns = (TextColumn('{task.description}', markup=False), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not processes.first, console=plain_console()) as bars:
        for path in processes.share(images):
            mine = [task for task in tasks if task.wants(path)]
            with ExitStack() as open_files:
                try:
                    files = [open_files.enter_context(ImageFile(path, **reading_of(args, task.model))) for task in mine]
                    count = sum(
                        len(list(tiles_with_parts(file.width, file.height, task.tile, task.overlap)))
                        for task, file in zip(mine, files)
                    )
                    bar = bars.add_task(path.name, total=count)
                    turns = [open_files.enter_context(closing(task.steps(file))) for task, file in zip(mine, files)]
                    written = in_turns(turns, lambda: bars.advance(bar))
                except (ValueError, OSError) as error:
                    failed += 1
                    if getattr(error, 'errno', None):  # of the system, such as a full disk
                        error = f'The results of {path} cannot be written to {args.out}: {error.strerror}.'
                    bars.console.print(f'predict: {error}', soft_wrap=True)
                    continue
            if any(file.alpha for file in files) and not said_alpha:
                said_alpha = True
                bars.console.print(
                    f'note: Band 4 of {path} is read as alpha: where it is 0 there is no data. If it is no alpha, such '
                    'as infrared, choose it by --bands, or tell the file so: gdal_edit.py -colorinterp_4 undefined '
                    f'{shlex.quote(str(path))}',
                    soft_wrap=True,
                )
            note = f'; {files[0].georeference.note}' if files[0].georeference.note else ''
            bars.console.print(f'Wrote {", ".join(map(str, written))}{note}', soft_wrap=True)
    return failed
