"""What of a folder is an image."""

from PIL import Image

from mmest.pictures.formats import FORMATS
from mmest.prediction.results import find_images

ENDINGS = dict(
    PNG='.png', JPEG='.jpg', BMP='.bmp', GIF='.gif', WEBP='.webp', TIFF='.tif', JPEG2000='.jp2', PPM='.ppm'
)  # fmt: skip


def test_images_of_every_kind_that_is_read_are_found(tmp_path):
    assert set(ENDINGS) == set(FORMATS)
    for number, (kind, ending) in enumerate(ENDINGS.items()):
        Image.new('RGB', (8, 8)).save(tmp_path / f'{number}{ending.upper()}', kind)
    (tmp_path / 'notes.txt').write_text('')
    (tmp_path / '.hidden.png').write_text('')
    assert [path.stem for path in find_images([tmp_path])] == [str(number) for number in range(len(ENDINGS))]
