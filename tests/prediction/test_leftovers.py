"""Half-written files in a folder that several machines see."""

import os
import platform
import time

from mmest.files import beside, remove_leftovers


def test_what_another_machine_writes_stays_until_it_has_long_been_left(tmp_path, monkeypatch):
    own = beside(tmp_path / 'x_mask.tif')
    monkeypatch.setattr(platform, 'node', lambda: 'another')
    written, left = beside(tmp_path / 'y_mask.tif'), beside(tmp_path / 'z_mask.tif')
    monkeypatch.undo()
    assert own.name.rpartition('-')[2] != left.name.rpartition('-')[2]
    for path in (own, written, left):
        path.write_text('half')
    os.utime(left, (0, time.time() - 2 * 24 * 3600))
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [written]
