"""Bands that are chosen for own data are what training and prediction see."""

from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, init_default_scope
from PIL import Image

from mmest.datasets.own.detect import read
from mmest.datasets.own.prepare import prepare
from mmest.datasets.own.prepared import load
from mmest.datasets.own.sample import size_of
from mmest.engine.own_training import Choices, own_config
from mmest.pictures import ImageFile, UnusableImage, decoders
from mmest.pictures.reading import reading_of
from mmest.pictures.transforms import use_reader

rasterio = pytest.importorskip('rasterio')
# Blue, green, red and infrared, as satellites order them.
BLUE, GREEN, RED, INFRARED = 40, 80, 120, 160


def write(folder, side=64, kind='uint8', count=4, **options):
    """Six images of four even bands with masks of two halves."""
    for name in ('images', 'masks'):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for number in range(6):
        bands = np.ones((4, side, side)) * np.array([BLUE, GREEN, RED, INFRARED])[:, None, None]
        bands[3, :, : side // 8] = 0  # infrared on water
        bands[:, number, :] += 1  # no copies
        with rasterio.open(
            folder / 'images' / f'{number}.tif', 'w', driver='GTiff', width=side, height=side, count=count,
            dtype=kind, **options,
        ) as image:  # fmt: skip
            image.write(bands[:count].astype(kind))
        mask = np.zeros((side, side), np.uint8)
        mask[: side // 2] = 1
        Image.fromarray(mask).save(folder / 'masks' / f'{number}.png')
    return folder


def first_seen(cfg: Config) -> np.ndarray:
    """The middle pixel, RGB, of the first image that the validation loader of a config sees."""
    init_default_scope(cfg.default_scope)
    use_reader(cfg.val_dataloader, True, **reading_of(cfg))
    dataset = cfg.val_dataloader.dataset
    name = Path(dataset.ann_file).read_text().split()[0]
    loaded = TRANSFORMS.build(dataset.pipeline[0])(dict(img_path=dataset.data_prefix.img_path + name))
    return loaded['img'][-1, -1, ::-1]


@pytest.mark.parametrize('side, size', [(64, 64), (256, 64)], ids=['whole', 'tiles'])
@pytest.mark.parametrize('bands, seen', [((3, 2, 1), (RED, GREEN, BLUE)), ((4, 3, 2), (INFRARED, RED, GREEN))])
def test_training_and_prediction_see_the_chosen_bands(bands, seen, side, size, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own = write(tmp_path / 'own', side)
    cfg, said = own_config(own, Choices(model='fcn', size=size, bands=bands), tmp_path / 'work')
    assert not any('first three bands' in line for line in said)
    assert any('as alpha' in line for line in said) == (4 not in bands)
    assert tuple(first_seen(cfg)) == seen
    cfg.dump('config.py')
    reading = reading_of(Config.fromfile('config.py'))
    assert tuple(reading['bands']) == bands
    with ImageFile(own / 'images/0.tif', **reading) as image:
        assert tuple(image.read()[-1, -1]) == seen


def test_levels_are_those_of_the_chosen_bands(tmp_path):
    prepared = prepare(write(tmp_path / 'own', kind='uint16'), tmp_path / 'out', bands=(1,))
    assert prepared.levels == (BLUE, BLUE + 1)
    assert load(tmp_path / 'out').bands == (1,)


def test_bands_that_differ_much_have_levels_of_their_own(tmp_path, monkeypatch):
    """With those of all, red would be nearly black beside infrared; prediction sees what training does."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / 'own'
    for name in ('images', 'masks'):
        (own / name).mkdir(parents=True)
    ramp = np.arange(64 * 64).reshape(64, 64) / 4095
    for number in range(6):
        bands = np.stack([200 + 400 * ramp, 300 + 500 * ramp.T, 1000 + 3000 * ramp]) + number
        with rasterio.open(
            own / 'images' / f'{number}.tif', 'w', driver='GTiff', width=64, height=64, count=3, dtype='uint16'
        ) as image:  # fmt: skip
            image.write(bands.astype('uint16'))
        Image.fromarray(np.eye(64, dtype=np.uint8)).save(own / 'masks' / f'{number}.png')
    cfg, said = own_config(own, Choices(model='fcn', bands=(3, 1, 2)), tmp_path / 'work')
    levels = np.array(cfg.image_scale)
    np.testing.assert_allclose(levels, [(1030, 3975), (204, 600), (305, 800)], atol=8)
    assert any('from black to white are 10' in line and 'in the bands that are shown' in line for line in said)
    cfg.dump('config.py')
    again = Config.fromfile('config.py')
    with ImageFile(own / 'images/0.tif', **reading_of(again)) as image:
        seen = image.read()
    assert (seen.min((0, 1)) == 0).all() and (seen.max((0, 1)) > 250).all()
    alike, _ = own_config(own, Choices(model='fcn', bands=(1, 2, 2)), tmp_path / 'alike')
    assert np.shape(alike.image_scale) == (2,), 'as long as they are alike, colours stay what they are'
    first, _ = own_config(own, Choices(model='fcn'), tmp_path / 'first')
    assert np.shape(first.image_scale) == (2,), 'without a word of the user too'


def test_infrared_that_is_chosen_takes_no_ground_away(tmp_path):
    own = write(tmp_path / 'own', photometric='RGB', alpha='yes')
    assert any('read as alpha' in line and 'choose it by --bands' in line for line in read(own).notes.lines())
    assert not any('alpha' in line for line in read(own, bands=(4, 3, 2)).notes.lines())
    with_nodata = write(tmp_path / 'b', nodata=255, photometric='RGB', alpha='yes')
    prepare(with_nodata, tmp_path / 'out', bands=(4, 3, 2))
    for path in (tmp_path / 'out/masks').rglob('*.png'):
        assert set(np.unique(Image.open(path))) == {0, 1}


def test_files_of_two_bands_show_one(tmp_path):
    """As radar has two polarisations."""
    own = write(tmp_path / 'own', count=2, kind='float32')
    with pytest.raises(UnusableImage, match='has two bands'):
        prepare(own, tmp_path / 'out')
    assert prepare(own, tmp_path / 'out', bands=(2,)).levels == pytest.approx((GREEN, GREEN + 1))
    cfg, _ = own_config(own, Choices(bands=(2,)), tmp_path / 'work')  # the model is found by the labels
    assert cfg.image_bands == (2,)


def test_bands_that_are_not_there_are_refused(tmp_path):
    with pytest.raises(UnusableImage, match=r'0.tif has 4 bands, but band 5 is asked for \(image_bands, --bands\)'):
        prepare(write(tmp_path / 'own'), tmp_path / 'out', bands=(5, 3, 2))


def test_a_prepared_set_keeps_its_bands(tmp_path):
    own = write(tmp_path / 'own')
    made = prepare(own, tmp_path / 'made', copy=True, bands=(3, 2, 1))
    assert prepare(made.folder, tmp_path / 'x').bands == prepare(made.folder, tmp_path / 'x', bands=(3, 2, 1)).bands
    with pytest.raises(ValueError, match='was prepared with bands 3, 2, 1; leave --bands out'):
        prepare(made.folder, tmp_path / 'x', bands=(4, 2, 1))
    plain = prepare(own, tmp_path / 'plain', copy=True)
    with pytest.raises(ValueError, match='was prepared with the first three bands; leave'):
        prepare(plain.folder, tmp_path / 'x', bands=(4, 2, 1))
    again = prepare(own, tmp_path / 'made', copy=True)
    assert again.bands is None, 'other bands are another set'


@pytest.mark.parametrize('made', [False, True], ids=['data', 'made'])
@pytest.mark.parametrize('side, tiled', [(64, False), (256, True)], ids=['whole', 'tiles'])
def test_options_have_prediction_see_nothing_else_than_training(side, tiled, made, tmp_path):
    own = write(tmp_path / 'own', side, 'uint16')
    if made:
        own = prepare(own, tmp_path / 'made', size=64, copy=True).folder
    choices = Choices(model='fcn', size=64, options=dict(image_bands=(3, 2, 1)))
    with pytest.raises(ValueError, match='pass --bands R,G,B in place of image_bands'):
        own_config(own, choices, tmp_path / 'work')
    choices = choices._replace(options=dict(image_scale=(0, 255)))
    if tiled:
        with pytest.raises(ValueError, match=r'The tiles in .*images were made with 40 to 120 from black to white'):
            own_config(own, choices, tmp_path / 'work')
    else:
        cfg, _ = own_config(own, choices, tmp_path / 'work')
        assert tuple(first_seen(cfg)) == (BLUE, GREEN, RED) and cfg.image_scale == (0, 255)


@pytest.mark.parametrize(
    'before, now, way', [((4, 3, 2), None, 'pass --bands 4,3,2'), (None, (1,), 'leave --bands out')]
)
def test_a_run_goes_on_with_its_bands(before, now, way, tmp_path):
    own, work = write(tmp_path / 'own'), tmp_path / 'work'
    choices = Choices(model='fcn', bands=before)
    own_config(own, choices, work)
    resume = str(work / 'iter_9.pth')
    with pytest.raises(ValueError, match=f'trained on .*bands.*: {way}, or for others train anew'):
        own_config(own, choices._replace(bands=now), work, resume=resume)
    assert load(work / 'data').bands == before, 'what trained stays'
    own_config(own, choices, work, resume=resume)


@pytest.mark.parametrize('with_rasterio', [True, False], ids=['rasterio', 'opencv'])
def test_jpeg_2000_has_a_size_without_a_choice(with_rasterio, tmp_path, monkeypatch):
    Image.new('RGB', (48, 40)).save(tmp_path / 'x.jp2')
    if not with_rasterio:
        monkeypatch.setattr(decoders, 'rasterio', None)
    assert size_of(tmp_path / 'x.jp2') == (48, 40)
    (tmp_path / 'x.jp2').write_bytes(b'no image')
    with pytest.raises(UnusableImage, match='is not a whole image'):
        size_of(tmp_path / 'x.jp2')
