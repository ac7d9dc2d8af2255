"""PGM and PPM, which state the largest of their numbers."""

import numpy as np
import pytest

from mmest.datasets.own.levels import find_levels
from mmest.pictures import ImageFile, UnusableImage

LEVELS = np.arange(64 * 48).reshape(48, 64)


def write(path, largest):
    """Numbers from 0 to ``largest``, of three bands in a .ppm."""
    bands, kind = (3, 'P6') if path.suffix == '.ppm' else (1, 'P5')
    numbers = np.repeat((LEVELS % (largest + 1))[..., None], bands, 2).astype('>u2' if largest > 255 else 'u1')
    path.write_bytes(f'{kind} 64 48 {largest}\n'.encode() + numbers.tobytes())
    return path


@pytest.mark.parametrize('name', ['x.pgm', 'x.ppm'])
def test_more_than_8_bits_are_known_by_the_header(tmp_path, name):
    """As own data asks for the rule before it reads pixels."""
    deep = write(tmp_path / name, 1000)
    with pytest.raises(UnusableImage, match='has pixels of the kind uint16, where 8 bits'):
        ImageFile(deep)
    low, high = find_levels([deep])
    assert 0 <= low < 20 and 980 < high <= 1000
    with ImageFile(deep, scale=(0, 1000)) as image:
        np.testing.assert_allclose(image.read()[..., 1], np.rint(LEVELS % 1001 * 0.255), atol=1)


@pytest.mark.parametrize('name', ['x.pgm', 'x.ppm'])
@pytest.mark.parametrize('largest', [1, 15, 254, 255])
def test_the_largest_number_is_white(tmp_path, name, largest):
    with ImageFile(write(tmp_path / name, largest)) as image:
        wanted = LEVELS % (largest + 1) * 255 / largest
        np.testing.assert_allclose(image.read(), np.repeat(wanted[..., None], 3, 2), atol=1)
    assert find_levels([tmp_path / name]) is None
