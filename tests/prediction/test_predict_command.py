"""The command: what it reads, what it refuses, what it leaves behind."""

import os
import signal
import subprocess
import sys

import numpy as np
import official_trees as trees
import pytest
import torch
from mmengine.config import Config
from PIL import Image
from scenes import COLOURS, Colours, geotiff
from test_model import write_model

from mmest.cli import _prediction_task as task
from mmest.cli import main
from mmest.prediction.options import digest_of


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command in this process with a perfect model; its exit status or sentence, and what it printed."""

    class Model(Colours):
        reading = dict(scale=None, bands=None)

        def __init__(self, *_):
            self.detects = detects

    detects = False

    def call(*args, boxes=False):
        nonlocal detects
        detects = boxes
        code = 0
        try:
            main(['predict', *map(str, args)])
        except SystemExit as end:
            code = end.code
        return code, capsys.readouterr()

    monkeypatch.setattr(task, 'Model', Model)
    monkeypatch.setattr(task, 'digest_of', lambda path: digest_of(path) if path.exists() else 'no file')
    return call


def test_teaches_and_refuses(run, tmp_path):
    assert 'georeference' in run('--help')[1].out
    for stem in 'ab':
        trees.write(tmp_path / stem / 'x.png', COLOURS[np.zeros((60, 80), int)])
    code, _ = run('model.pth', tmp_path / 'a', tmp_path / 'b')
    assert 'Results are named after their images, and x is there twice' in code
    assert 'The image gone.png is not there.' in run('model.pth', 'gone.png')[0]
    (tmp_path / 'empty').mkdir()
    assert 'has no images; they end with .tif' in run('model.pth', tmp_path / 'empty')[0]
    image = tmp_path / 'a/x.png'
    assert '--overlap should be from 0' in run('model.pth', image, '--overlap', 900)[0]
    assert 'needs a CUDA device' in run('model.pth', image, '--device', 'cuda:0')[0] or torch.cuda.is_available()
    (tmp_path / 'file').write_text('')
    assert 'go to a folder, but' in run('model.pth', image, '--out', tmp_path / 'file')[0]
    assert 'scale of images should be two numbers' in run('m', image, '--scale', 9, 1, '--out', tmp_path / 'o')[1].out


def test_what_an_option_cannot_change_it_is_not_taken_for(run, tmp_path, monkeypatch):
    """The config of an ONNX graph is in the graph, and ground has no scores."""
    image = tmp_path / 'x.png'
    trees.write(image, COLOURS[np.zeros((60, 80), int)])
    monkeypatch.setattr(task, 'OnnxModel', task.Model)
    out = '--out', tmp_path / 'out'
    for name in ('model.onnx', 'model.ONNX'):
        assert '--config is for checkpoints' in run(name, image, '--config', 'x.py', *out)[0]
    monkeypatch.setattr(task, 'open_config', lambda name: Config(dict(name=name)))
    for options in ((), ('--model', 'b.pth', '--config', 'x.py')):  # which is for the checkpoint
        assert run('--model', 'a.onnx', *options, image, *out, '--overwrite')[0] == 0
    code, _ = run('model.pth', image, '--score', 0.5, *out)
    assert '--score is for detectors, but model.pth segments ground. Leave it out.' in code
    for score, said in ((0, True), (0.049, True), (0.05, False), (0.5, False)):
        code, output = run('model.pth', image, '--score', score, *out, '--overwrite', boxes=True)
        assert code == 0
        assert ('model.pth gives no boxes that score below 0.05' in output.out) == said
    assert 'gives no boxes' not in run('model.pth', image, *out, '--overwrite', boxes=True)[1].out


def test_images_of_a_folder(run, tmp_path):
    for name in ('a.png', 'b.PNG', 'c.txt', 'd.pgw', '._a.png', '.e.tif'):
        trees.write(tmp_path / 'in/a.png', COLOURS[np.zeros((60, 80), int)])
        (tmp_path / 'in' / name).write_bytes((tmp_path / 'in/a.png').read_bytes())
    assert run('model.pth', tmp_path / 'in', '--out', tmp_path / 'out')[0] == 0
    names = sorted(path.name for path in (tmp_path / 'out').glob('[!.]*'))
    assert names == ['a_mask.png', 'a_overlay.png', 'b_mask.png', 'b_overlay.png']


@pytest.mark.parametrize('options, said', [({}, True), (dict(photometric='RGB', alpha='unspecified'), False)])
def test_a_fourth_band_that_is_read_as_alpha_is_said_once(run, tmp_path, options, said):
    """As rasterio writes infrared by default; on water it is 0."""
    bands = np.dstack([COLOURS[np.zeros((60, 80), int)], np.arange(80, dtype=np.uint8) * np.ones((60, 1), np.uint8)])
    for name in 'ab':
        geotiff(tmp_path / f'{name}.tif', bands, **options)
    code, output = run('model.pth', tmp_path, '--out', tmp_path / 'out')
    assert code == 0
    assert output.out.count('is read as alpha: where it is 0 there is no data') == said
    assert (f'gdal_edit.py -colorinterp_4 undefined {tmp_path}/a.tif' in output.out) == said
    with Image.open(tmp_path / 'out/b_mask.tif') as mask:
        assert (np.asarray(mask)[:, 0] == 255).all() == said


@pytest.mark.parametrize('order', [('infrared.pth', 'colours.pth'), ('colours.pth', 'infrared.pth')])
def test_alpha_of_any_of_several_models_is_said(run, tmp_path, monkeypatch, order):
    """One shows the band that the other takes for alpha."""

    def init(self, path, *_):
        self.detects = False
        self.reading = dict(scale=None, bands=(4, 1, 2) if path.stem == 'infrared' else None)

    monkeypatch.setattr(task.Model, '__init__', init)
    geotiff(tmp_path / 'x.tif', np.full((60, 80, 4), 9, np.uint8))
    models = [word for name in order for word in ('--model', name)]
    code, output = run(*models, tmp_path / 'x.tif', '--out', tmp_path / 'out')
    assert code == 0 and output.out.count('is read as alpha') == 1


@pytest.mark.parametrize('boxes', [False, True])
def test_nothing_is_written_over_but_by_order(run, tmp_path, boxes):
    trees.write(tmp_path / 'x.png', COLOURS[np.zeros((60, 80), int)])
    result = tmp_path / ('x_coco.json' if boxes else 'x_mask.png')
    trees.write(result.with_suffix('.png'), COLOURS[np.ones((60, 80), int)])
    result.with_suffix('.png').rename(result)
    before = result.read_bytes()
    code, _ = run('model.pth', tmp_path / 'x.png', '--out', tmp_path, boxes=boxes)
    assert f'{result} would be written over' in code and '--overwrite' in code and result.read_bytes() == before
    if not boxes:
        code, _ = run('m', tmp_path / 'x.png', result, '--out', tmp_path, '--overwrite')
        assert f'{result} is an image to predict' in code and result.read_bytes() == before
    assert run('model.pth', tmp_path / 'x.png', '--out', tmp_path, '--overwrite', boxes=boxes)[0] == 0
    assert result.read_bytes() != before


def test_a_mask_of_another_form_does_not_outlive_its_prediction(run, tmp_path):
    """One of the user's does, whatever it is called."""
    pytest.importorskip('rasterio')
    out, pixels = tmp_path / 'out', COLOURS[np.zeros((60, 80), int)]
    (tmp_path / 'placed').mkdir()
    trees.write(out / 'y_mask.png', pixels)
    for name in 'xy':
        trees.write(tmp_path / 'plain' / f'{name}.png', pixels)
        geotiff(tmp_path / 'placed' / f'{name}.tif', pixels)
    masks = []
    for folder, images in (('plain', ['x.png']), ('placed', ['x.tif', 'y.tif']), ('plain', ['x.png'])):
        paths = [tmp_path / folder / name for name in images]
        assert run('model.pth', *paths, '--out', out, '--overwrite')[0] == 0
        masks.append(sorted(path.name for path in out.glob('*_mask*')))
    assert masks == [
        ['x_mask.png', 'y_mask.png'],
        ['x_mask.tif', 'y_mask.png', 'y_mask.tif'],
        ['x_mask.png', 'y_mask.png', 'y_mask.tif'],
    ]


def test_one_bad_image_does_not_stop_the_others(run, tmp_path):
    trees.write(tmp_path / 'b.png', COLOURS[np.zeros((60, 80), int)])
    trees.text(tmp_path / 'a.png', 'x')
    code, said = run('model.pth', tmp_path, '--out', tmp_path / 'out')
    assert code == 'predict: 1 of 2 images could not be used.' and 'a.png is not a whole image' in said.out
    assert (tmp_path / 'out/b_mask.png').is_file()


def test_a_trained_model(tmp_path, capsys):
    """A checkpoint of training alone: its config is inside."""
    write_model(tmp_path / 'model.pth', 'segmentation')
    Image.fromarray(np.random.default_rng(0).integers(0, 2805, (100, 150)).astype(np.uint16)).save(tmp_path / 'x.png')
    main(['predict', str(tmp_path / 'model.pth'), str(tmp_path / 'x.png'), '--out', str(tmp_path), '--device', 'cpu'])
    said = capsys.readouterr().out
    assert said.startswith(f'note: Runs the config inside {tmp_path}/model.pth') and 'mmengine' not in said
    assert 'x_mask.png' in said
    assert np.asarray(Image.open(tmp_path / 'x_mask.png')).shape == (100, 150)


@pytest.mark.skipif(os.name != 'posix', reason='signals of POSIX')
def test_nothing_is_left_behind_when_it_is_ended(run, tmp_path, monkeypatch):
    trees.write(tmp_path / 'x.png', COLOURS[np.zeros((400, 400), int)])
    seen = []

    def end(*_):
        seen.append(list((tmp_path / 'out').iterdir()))
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(Colours, 'mask', end)
    before = signal.getsignal(signal.SIGTERM)
    code, _ = run('model.pth', tmp_path / 'x.png', '--out', tmp_path / 'out')
    assert code == 128 + signal.SIGTERM and signal.getsignal(signal.SIGTERM) is before
    # While it runs there is nothing either that a harder end could leave.
    assert seen == [[]] and list((tmp_path / 'out').iterdir()) == []


def test_leftovers_go_and_pieces_of_a_download_stay(run, tmp_path):
    """Which end with numbers too, as ``split -d`` and browsers name them."""
    dead = subprocess.Popen([sys.executable, '-c', ''])
    dead.wait()
    trees.write(tmp_path / 'x.png', COLOURS[np.zeros((60, 80), int)])
    pieces = {'DOTA.tar.gz.part00', 'DOTA.zip.part11', f'DOTA.rar.part{dead.pid}', 'a.part1.rar', 'film.mp4.part'}
    for name in (*pieces, f'x_mask.png.mmest-part{dead.pid}'):
        trees.text(tmp_path / 'out' / name, 'mine')
    assert run('model.pth', tmp_path / 'x.png', '--out', tmp_path / 'out')[0] == 0
    assert {path.name for path in (tmp_path / 'out').glob('[!.]*')} == {*pieces, 'x_mask.png', 'x_overlay.png'}


def test_bands_are_those_of_the_training_unless_others_are_asked_for(run, tmp_path):
    """Of a file whose bands are blue, green and red."""
    rasterio = pytest.importorskip('rasterio')
    classes = np.random.default_rng(0).integers(0, len(COLOURS), (6, 8)).repeat(10, 0).repeat(10, 1)
    with rasterio.open(tmp_path / 'bgr.tif', 'w', driver='GTiff', width=80, height=60, count=3, dtype='uint8') as file:
        file.write(COLOURS[classes].astype(np.uint8)[..., ::-1].transpose(2, 0, 1))

    def found(*options):
        code, _ = run('model.pth', tmp_path / 'bgr.tif', '--out', tmp_path / 'out', '--overwrite', *options)
        assert not code
        return np.asarray(Image.open(next((tmp_path / 'out').glob('bgr_mask.*'))))

    assert (found() != classes).any()
    np.testing.assert_array_equal(found('--bands', '3,2,1'), classes)
    task.Model.reading['bands'] = [3, 2, 1]
    np.testing.assert_array_equal(found(), classes)
    assert (found('--bands', '1,2,3') != classes).any()
    code, said = run('model.pth', tmp_path / 'bgr.tif', '--bands', '1,2', '--out', tmp_path / 'out')
    assert code == 2 and 'it should be three numbers from 1 on, such as 3,2,1, or one, but it is 1,2' in said.err
