"""What ``mmest predict`` wrote is nobody's label, wherever it lies."""

import shutil

import exports
import numpy as np
import pytest
from PIL import Image

from mmest.datasets.own.detect import read
from mmest.datasets.own.results import note_results, noted_results, visible_files
from mmest.pictures import ImageFile
from mmest.prediction.boxes import predict_boxes
from mmest.prediction.masks import predict_mask
from mmest.prediction.model import Detections
from mmest.tiles.geometry import STRAIGHT

LEFT_OUT = 'results of mmest, left out (move what you corrected to another folder)'


class OneThing:
    """Sees one object on every tile, and its class on all ground."""

    geometry, classes, most = STRAIGHT, ('wrong',), None
    palette = np.array([[250, 0, 0]], np.uint8)

    def detect(self, tile):
        return Detections(np.array([[1.0, 1.0, 9.0, 9.0]]), np.array([0.9]), np.array([0]))

    def mask(self, tile):
        return np.zeros(tile.shape[:2], np.uint8)


def predict(image, out):
    with ImageFile(image) as opened:
        return [
            *predict_boxes(OneThing(), opened, out, 1024, 0, 0.3, lambda: None),
            *predict_mask(OneThing(), opened, out, 1024, 0, lambda: None),
        ]


@pytest.mark.parametrize('place', ['maps', 'train/maps', 'train/images', '.'])
@pytest.mark.parametrize('layout', [exports.yolo_roboflow, exports.cvat_coco, exports.voc_flat, exports.index_masks])
def test_predictions_below_the_data_change_nothing(layout, place, tmp_path):
    layout(tmp_path)
    before = read(tmp_path)
    written = [file for sample in before.samples[:2] for file in predict(sample.image, tmp_path / place)]
    after = read(tmp_path)
    assert (after.format, after.classes, after.samples) == (before.format, before.classes, before.samples)
    names = sorted(file.relative_to(tmp_path).as_posix() for file in set(written))
    assert after.notes.lines() == [*before.notes.lines(), f'{LEFT_OUT}: {len(names)} ({", ".join(names[:3])}, ...)']


@pytest.mark.parametrize('place', ['maps', '.'])
@pytest.mark.parametrize('named', ['', 'scene.tif', 'labels.geojson'])
def test_predictions_beside_rasters_and_vectors_change_nothing(named, place, tmp_path):
    pytest.importorskip('rasterio')
    pytest.importorskip('pyogrio')
    import ground

    found = ground.boxes(300, 200)
    ground.raster(tmp_path / 'scene.tif', 300, 200, found)
    kinds = [ground.KINDS[kind] for kind, *_ in found]
    ground.vectors(tmp_path / 'labels.geojson', ground.polygons(found, crs='EPSG:4326'), kinds, 'EPSG:4326')
    before = read(tmp_path / named)
    written = predict(tmp_path / 'scene.tif', tmp_path / place)
    assert {'scene.geojson', 'scene_mask.tif'} <= {file.name for file in written}
    after = read(tmp_path / named)
    assert (after.classes, after.samples) == (before.classes, before.samples)


def test_what_was_moved_is_data(tmp_path):
    """As predictions are that a person corrected."""
    exports.index_masks(tmp_path)
    samples = read(tmp_path).samples
    for sample in samples:
        mask, _ = predict_mask(OneThing(), ImageFile(sample.image), tmp_path / 'maps', 1024, 0, lambda: None)
        shutil.move(mask, sample.mask)
    assert [sample.mask for sample in read(tmp_path).samples] == [sample.mask for sample in samples]


def test_nothing_but_results_is_said_to_be_why(tmp_path):
    exports.images(tmp_path, ['1.png'])
    predict(tmp_path / '1.png', tmp_path)
    with pytest.raises(ValueError, match=r'beside results of mmest \(1.geojson, 1_coco.json, 1_mask.png, ...\)'):
        read(tmp_path)


def test_results_are_noted_once_and_of_any_name(tmp_path):
    files = [tmp_path / 'a' / 'ü x.png', tmp_path / 'a' / '\udcff.png', tmp_path / 'b' / 'ü x.png']
    for _ in range(2):
        note_results(files)
    assert noted_results(tmp_path / 'a') >= {'ü x.png', '\udcff.png'} and noted_results(tmp_path) == set()
    assert (tmp_path / 'a' / '.mmest_results').read_bytes() == 'ü x.png\n'.encode() + b'\xff.png\n'
    for file in (*files, tmp_path / 'c' / 'ü x.png'):
        file.parent.mkdir(exist_ok=True)
        Image.new('L', (8, 8)).save(file, 'PNG')
    assert list(visible_files(tmp_path)) == [tmp_path / 'c' / 'ü x.png']


def test_labels_with_scores_are_taken_and_that_is_said(tmp_path):
    exports.images(tmp_path / 'images', ['1.png'])
    predict(tmp_path / 'images' / '1.png', tmp_path / 'maps')
    shutil.move(tmp_path / 'maps' / '1_coco.json', tmp_path)
    said = 'objects of 1_coco.json have a score, as predictions do: they are taken for labels'
    assert said in read(tmp_path).notes.lines()
    text = (tmp_path / '1_coco.json').read_text()
    (tmp_path / '1_coco.json').write_text(text.replace('"score"', '"sure"'))
    assert not any('score' in line for line in read(tmp_path).notes.lines())


def test_polygons_with_scores_are_taken_and_that_is_said(tmp_path):
    pytest.importorskip('rasterio')
    pytest.importorskip('pyogrio')
    import ground

    ground.raster(tmp_path / 'scene.tif', 300, 200, [])
    predict(tmp_path / 'scene.tif', tmp_path / 'maps')
    shutil.move(tmp_path / 'maps' / 'scene.geojson', tmp_path)
    said = 'scene.geojson has a column "score", as predictions do: its polygons are taken for labels'
    assert said in read(tmp_path).notes.lines()
