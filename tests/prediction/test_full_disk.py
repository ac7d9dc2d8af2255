"""A disk that runs full under a mask: an error, never a damaged file or a killed process."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scenes import COLOURS, SIZE, Colours, geotiff

from mmest.pictures import ImageFile
from mmest.prediction import masks


def scene(folder):
    return geotiff(folder / 'scene.tif', COLOURS[np.random.default_rng(0).integers(0, 3, SIZE[::-1])])


def test_the_room_for_a_mask_is_there_before_the_first_tile(tmp_path, monkeypatch):
    pytest.importorskip('rasterio')
    reserved = []

    def memmap(file, *args, **options):
        reserved.append(os.fstat(file.fileno()).st_blocks * 512)
        return np.array(np.zeros(options['shape'], np.uint8))

    monkeypatch.setattr(masks.np, 'memmap', memmap)
    masks.predict_mask(Colours(), ImageFile(scene(tmp_path)), tmp_path / 'out', 200, 40, lambda: None)
    assert reserved[0] >= SIZE[0] * SIZE[1], 'a write to a map of a hole on a full disk kills the process'


@pytest.mark.parametrize('share', [0.999, 0.9, 0.3])
def test_a_mask_that_the_disk_did_not_take_whole_is_an_error(tmp_path, share):
    """What a full disk does, the limit on the size of files does here. GDAL says nothing of the end of a file."""
    pytest.importorskip('rasterio')
    image, out = scene(tmp_path), tmp_path / 'out'
    written = masks.predict_mask(Colours(), ImageFile(image), out, 200, 40, lambda: None)
    earlier = written[0].read_bytes()
    program = f"""
import resource
from pathlib import Path
from scenes import Colours
from mmest.pictures import ImageFile
from mmest.prediction import masks

def limited(file, size, reserve=masks.reserve):
    reserve(file, size)
    resource.setrlimit(resource.RLIMIT_FSIZE, ({int(share * len(earlier))},) * 2)

masks.reserve = limited
masks.predict_mask(Colours(), ImageFile(Path({str(image)!r})), Path({str(out)!r}), 200, 40, lambda: None)
"""
    python = [sys.executable, '-c', program]
    found = subprocess.run(python, cwd=Path(__file__).parent, capture_output=True, text=True)
    assert found.returncode == 1 and 'OSError: [Errno 5] The disk did not take all of the mask' in found.stderr
    assert written[0].read_bytes() == earlier, 'what was there stays whole'
    assert not [path for path in out.iterdir() if '.mmest-part' in path.name]
