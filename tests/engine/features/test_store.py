"""The files of a feature cache: whole or not there, whatever happens."""

import os
import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest

from mmest.engine.features import store as module
from mmest.engine.features.store import FeatureStore, NoSpace

KEYS = [bytes([i]) * 16 for i in range(5)]
SIZE = 1000


def maps(i):
    return np.random.default_rng(i).integers(256, size=SIZE, dtype=np.uint8)


def opened(folder, about=None, slots=4):
    return FeatureStore(folder, about or dict(weights='a'), slots, SIZE)


@pytest.fixture
def filled(tmp_path):
    store = opened(tmp_path / 'store')
    for i in range(3):
        assert store.put(KEYS[i], maps(i))
    return tmp_path / 'store'


def held(folder, **more):
    """Which of the images a store gives; none of them wrongly."""
    store = opened(folder, **more)
    found = {i: store.get(key) for i, key in enumerate(KEYS)}
    assert all(np.array_equal(content, maps(i)) for i, content in found.items() if content is not None)
    return {i for i, content in found.items() if content is not None}


def test_it_gives_what_it_was_given_and_no_more_than_it_has_room_for(filled):
    assert held(filled) == {0, 1, 2}
    store = opened(filled)
    assert all(store.get(key) is not None for key in KEYS[:3])
    assert store.put(KEYS[3], maps(3)) and not store.put(KEYS[4], maps(4))
    assert len(store) == 4 and held(filled) == {0, 1, 2, 3}
    assert (filled / 'maps.bin').stat().st_size == 4 * SIZE, 'all room is reserved at the start'


def test_images_that_nobody_asks_for_make_room(filled):
    store = opened(filled)
    assert store.get(KEYS[0]) is not None and store.get(KEYS[2]) is not None and store.put(KEYS[3], maps(3))
    other = opened(filled)
    assert not store.put(KEYS[4], maps(4)), 'the other may trust what it has read'
    assert np.array_equal(other.get(KEYS[1]), maps(1))
    other.close()
    assert store.put(KEYS[4], maps(4)) and store.get(KEYS[1]) is None and not store.put(KEYS[1], maps(1))
    assert (len(store), store.reused) == (4, 1) and held(filled) == {0, 2, 3, 4}


def test_what_a_killed_process_leaves_is_whole_or_not_there(filled):
    """The journal may end anywhere; behind it is what was written last."""
    journal, content = (filled / 'journal.bin').read_bytes(), (filled / 'maps.bin').read_bytes()
    for length in range(len(journal)):
        (filled / 'journal.bin').write_bytes(journal[:length])
        (filled / 'maps.bin').write_bytes(content)
        assert held(filled) == set(range(length // 24))
        store = opened(filled)
        assert store.put(KEYS[3], maps(3)), 'the next takes the place of what was cut off'
        assert held(filled) == {*range(length // 24), 3}


def test_changed_bytes_are_found_and_written_anew(filled):
    for name, at in (('maps.bin', SIZE + 7), ('journal.bin', 24 + 3), ('journal.bin', 24 + 18), ('journal.bin', 47)):
        content = bytearray((filled / name).read_bytes())
        content[at] ^= 1
        (filled / name).write_bytes(content)
        assert held(filled) == {0, 2}
        store = opened(filled)
        assert store.get(KEYS[1]) is None and store.put(KEYS[1], maps(1))
        assert held(filled) == {0, 1, 2}
        content[at] ^= 1
        (filled / name).write_bytes(content)  # as it was before


@pytest.mark.parametrize('spoil', ['about.json', 'maps.bin', 'journal.bin'])
def test_files_that_are_not_whole_are_begun_anew(filled, spoil):
    os.truncate(filled / spoil, 0) if spoil != 'journal.bin' else (filled / spoil).unlink()
    assert held(filled) == set()
    assert opened(filled).put(KEYS[1], maps(1)) and held(filled) == {1}


def test_another_content_is_never_mixed_in(filled):
    assert held(filled, about=dict(weights='b')) == set()


def test_two_stores_see_what_the_other_adds(filled):
    one, other = opened(filled), opened(filled)
    assert one.put(KEYS[3], maps(3))
    assert np.array_equal(other.get(KEYS[3]), maps(3))
    assert other.put(KEYS[3], maps(3)) and len(other) == 4


def test_a_disk_without_room_is_said_before_anything_is_written(tmp_path, monkeypatch):
    space = namedtuple('space', 'total used free')(10**6, 10**6, 3 * SIZE)
    monkeypatch.setattr(module.shutil, 'disk_usage', lambda _: space)
    with pytest.raises(NoSpace, match='needs 3.8 MiB in .*store, and 0.0 MiB are free'):
        FeatureStore(tmp_path / 'store', {}, 4000, SIZE)
    assert {path.name for path in (tmp_path / 'store').iterdir()} == {'lock', 'users'}


@pytest.mark.parametrize('chunk', [700, 4000, 2**20])
def test_where_the_system_reserves_no_room_it_is_written(tmp_path, monkeypatch, chunk):
    monkeypatch.delattr(os, 'posix_fallocate')  # macOS
    monkeypatch.setattr('mmest.files._CHUNK', chunk)
    store = opened(tmp_path / 'store')
    largest = max((tmp_path / 'store').iterdir(), key=lambda path: path.stat().st_size)
    assert largest.stat().st_size == 4 * SIZE
    assert largest.stat().st_blocks * 512 >= 4 * SIZE  # not of holes
    assert store.put(KEYS[0], maps(0)) and held(tmp_path / 'store') == {0}


def test_a_limit_on_files_leaves_nothing_half_written(tmp_path):
    """What a quota does, the limit on the size of files does here."""
    program = f"""
import resource
from pathlib import Path
from mmest.engine.features.store import FeatureStore, NoSpace
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    FeatureStore(Path({str(tmp_path / 'store')!r}), dict(), 10, 1000)
except NoSpace as error:
    print(error)
"""
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', program], capture_output=True, text=True, check=True)
    assert 'cannot be reserved: File too large.' in done.stdout
    assert {path.name for path in (tmp_path / 'store').iterdir()} == {'lock', 'users'}
