"""Pictures of a test: where they go, and what they leave alone."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from mmest.datasets.own.results import visible_files
from mmest.engine.drawing import PredictionPictures, picture_names


class Runner:
    """Draws each picture in one colour."""

    cfg: dict = {}

    def __init__(self, images, colour=200):
        dataset = [dict(img_path=str(image)) for image in images]
        self.test_dataloader = SimpleNamespace(dataset=_Dataset(dataset))
        self.visualizer, self.colour = self, colour

    def add_datasample(self, name, image, sample, out_file):
        Image.fromarray(np.full_like(image, self.colour)).save(out_file)

    def draw(self, folder):
        hook = PredictionPictures(folder)
        hook.before_test(self)
        for info in self.test_dataloader.dataset:
            hook.after_test_iter(self, 0, outputs=[SimpleNamespace(**info)])


class _Dataset(list):
    def get_data_info(self, number):
        return self[number]


def write(folder, *names):
    for number, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (8, 8), (number, 0, 0)).save(folder / name)
    return [folder / name for name in names]


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob('*') if path.is_file()}


@pytest.mark.parametrize(
    'images, pictures',
    [
        (['0.png', '1.tif'], ['0.png', '1.png']),
        (['a/0.png', 'b/0.png'], ['a/0.png', 'b/0.png']),
        (['a/b/0.png', 'a/0.jpg'], ['b/0.png', '0.png']),
        (['a/0.png', 'a/0.jpg', 'a/1.jpg'], ['0.png.png', '0.jpg.png', '1.jpg.png']),
        (['a.b/0.1.png'], ['0.1.png']),
    ],
)
def test_each_image_has_a_picture_of_its_own(images, pictures, tmp_path, monkeypatch):
    paths = write(tmp_path, *images)
    assert list(picture_names([str(path) for path in paths]).values()) == pictures
    monkeypatch.chdir(tmp_path)
    assert list(picture_names(images).values()) == pictures, 'by relative paths too'
    Runner(paths).draw(tmp_path / 'shown')
    found = {name for name in contents(tmp_path / 'shown') if not name.endswith('.mmest_results')}
    assert found == set(pictures)


@pytest.mark.parametrize('shown', ['.', 'other', 'link'])
def test_no_file_of_the_user_is_drawn_over(shown, tmp_path):
    """Images that are tested, those of another split, masks."""
    images = write(tmp_path / 'val', '0.png', '1.png')
    write(tmp_path / 'val' / 'other', '1.png')
    (tmp_path / 'val' / 'link').symlink_to(tmp_path / 'val')
    before = contents(tmp_path)
    named = '1.png' if shown == 'other' else '0.png and 1 more'
    with pytest.raises(ValueError, match=f'{named} would be written over, and is no picture that mmest test drew'):
        Runner(images).draw(tmp_path / 'val' / shown)
    assert contents(tmp_path) == before


def test_pictures_of_an_earlier_test_are_drawn_again_and_are_no_images(tmp_path):
    images = write(tmp_path / 'val', 'a/0.png', 'b/0.png')
    for colour in (100, 200):
        Runner(images, colour).draw(tmp_path / 'val' / 'shown')
        assert np.asarray(Image.open(tmp_path / 'val/shown/a/0.png')).mean() == colour
    assert sorted(visible_files(tmp_path)) == images
