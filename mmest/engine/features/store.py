"""The files of a feature cache: equal slots for the maps of one image each, and a journal of what is in them."""

import fcntl
import json
import os
import shutil
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from mmest.files import remove_leftovers, reserve, whole_file, write_json

# Of the journal: the key of an image, the checksum of its slot, that of the record itself. Record n is of slot n.
_RECORD = struct.Struct('<16sII')
KEY_BYTES = 16


class NoSpace(ValueError):
    """The cache does not fit on the disk."""


class FeatureStore:
    """Maps of images by keys, in a folder that processes share and that survives their end at any moment.

    A slot is written before its record, and read only after its checksum was compared once, so neither a killed process
    nor a power cut nor a changed file makes it give wrong maps: what is not whole is not there. The room for all slots
    is reserved at the start, so that the disk cannot run full of them later. Once all slots are taken, those of images
    that nobody has asked this store for are used again, unless another store is open in the folder, which may trust
    them.

    Args:
        folder: of this cache alone.
        about: what its maps depend on, for people to read; the folder holds nothing of another ``about``.
        slots: how many images there are at most.
        slot_bytes: of the maps of one image.

    Raises:
        NoSpace: the disk lacks the room.
    """

    def __init__(self, folder: Path, about: dict, slots: int, slot_bytes: int) -> None:
        self.folder, self.slots, self.slot_bytes = folder, slots, slot_bytes
        self._maps_path, self._journal_path = folder / 'maps.bin', folder / 'journal.bin'
        self._slot_of: dict[bytes, int] = {}
        self._checksum: dict[bytes, int] = {}
        self._trusted: set[bytes] = set()
        self._damaged: set[bytes] = set()
        self._records = 0
        #: Slots whose images had to make room.
        self.reused = 0
        folder.mkdir(parents=True, exist_ok=True)
        with self._alone():
            self._users = (folder / 'users').open('a+')
            fcntl.flock(self._users, fcntl.LOCK_SH)
            if not self._is_whole(about):
                self._create(about)
            self._journal = os.open(self._journal_path, os.O_RDWR)
            self._file = os.open(self._maps_path, os.O_RDWR)
            self._read_journal()
        self._maps = np.memmap(self._maps_path, np.uint8, 'r', shape=(slots, slot_bytes))

    def __len__(self) -> int:
        """How many images it holds."""
        return len(self._slot_of)

    def get(self, key: bytes) -> np.ndarray | None:
        """The bytes of an image's maps, or None if they are not there or not whole."""
        if key not in self._slot_of:
            with self._alone():
                self._read_journal()
        if key not in self._slot_of:
            return None
        maps = self._maps[self._slot_of[key]]
        if key not in self._trusted:
            if zlib.crc32(maps) != self._checksum[key]:
                self._damaged.add(key)
                return None
            self._trusted.add(key)
        return maps

    def put(self, key: bytes, maps: np.ndarray) -> bool:
        """Keep the bytes of an image's maps; whether there was room for them.

        Raises:
            OSError: the disk is full or broken; what was there stays whole.
        """
        with self._alone():
            self._read_journal()
            if key in self._slot_of and key not in self._damaged:
                return True  # another process was faster
            slot = self._slot_of.get(key, self._records)
            if slot >= self.slots:
                unasked = self._unasked()
                if unasked is None:
                    return False
                slot = self._slot_of.pop(unasked)
                self.reused += 1
            checksum = zlib.crc32(maps)
            _write(self._file, maps.tobytes(), slot * self.slot_bytes)
            _write(self._journal, _record(key, checksum), slot * _RECORD.size)
            self._records = max(self._records, slot + 1)
        self._slot_of[key], self._checksum[key] = slot, checksum
        self._trusted.add(key)
        self._damaged.discard(key)
        return True

    def close(self) -> None:
        """Give the files back."""
        os.close(self._journal)
        os.close(self._file)
        self._users.close()

    def _unasked(self) -> bytes | None:
        """The key of an image that nobody has asked this store for, while no other is open."""
        try:
            fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return None
        finally:
            fcntl.flock(self._users, fcntl.LOCK_SH)  # at once: others open under the lock that is held here
        return next((key for key in self._slot_of if key not in self._trusted), None)

    def _read_journal(self) -> None:
        """Learn what other processes have added. A record that is cut off is overwritten by the next."""
        start = self._records * _RECORD.size
        content = os.pread(self._journal, self.slots * _RECORD.size - start, start)
        for at in range(0, len(content) - _RECORD.size + 1, _RECORD.size):
            key, checksum, own = _RECORD.unpack_from(content, at)
            if _record(key, checksum)[-4:] == struct.pack('<I', own):
                self._slot_of[key], self._checksum[key] = self._records, checksum
            self._records += 1

    def _is_whole(self, about: dict) -> bool:
        try:
            same = json.loads((self.folder / 'about.json').read_text()) == about
            return same and self._maps_path.stat().st_size == self._bytes and self._journal_path.is_file()
        except (OSError, ValueError):
            return False

    @property
    def _bytes(self) -> int:
        return self.slots * self.slot_bytes

    def _create(self, about: dict) -> None:
        for path in (self.folder / 'about.json', self._journal_path, self._maps_path):
            path.unlink(missing_ok=True)
        remove_leftovers(self.folder)
        free = shutil.disk_usage(self.folder).free
        if free < self._bytes:
            raise NoSpace(
                f'The feature cache needs {gibibytes(self._bytes)} in {self.folder}, and {gibibytes(free)} are free.'
            )
        try:
            with whole_file(self._maps_path) as file:
                reserve(file, self._bytes)
        except OSError as error:
            raise NoSpace(
                f'The feature cache needs {gibibytes(self._bytes)} in {self.folder}, which cannot be reserved: '
                f'{error.strerror}.'
            ) from error
        self._journal_path.touch()
        write_json(self.folder / 'about.json', about)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        with (self.folder / 'lock').open('a') as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def gibibytes(number: int) -> str:
    """A number of bytes as people read it."""
    return f'{number / 2**30:.1f} GiB' if number >= 2**30 else f'{number / 2**20:.1f} MiB'


def _record(key: bytes, checksum: int) -> bytes:
    return _RECORD.pack(key, checksum, zlib.crc32(key + struct.pack('<I', checksum)))


def _write(file: int, content: bytes, offset: int) -> None:
    view = memoryview(content)
    while view:
        written = os.pwrite(file, view, offset)
        view, offset = view[written:], offset + written
