"""A seal on a checkpoint file: the digest of all its bytes, in the comment that a zip file may end with.

torch and zip tools read a sealed file as any other. torch itself checks no byte of what it loads.
"""

import hashlib
from pathlib import Path

_MARK = b'mmest sha256 '
_LENGTH = len(_MARK) + 64
# The last record of a zip file: its signature, 16 bytes, the length of the comment.
_END, _END_LENGTH = b'PK\5\6', 22
_CHUNK = 1 << 22


def sealed(content: bytes) -> list[bytes | memoryview]:
    """The bytes of a zip file without a comment, with the seal as its comment: in parts, one behind the other, for a
    checkpoint may be as large as what is left of the memory.
    """
    parts = [memoryview(content)[:-2], _LENGTH.to_bytes(2, 'little')]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return [*parts, _MARK + digest.hexdigest().encode()]


def broken(path: Path) -> bool:
    """Whether a file was sealed and is not what it was then. What other programs write has no seal."""
    size = path.stat().st_size
    with path.open('rb') as file:
        file.seek(max(0, size - 4096))
        tail = file.read()
        start = tail.rfind(_END)
        stated = tail[start + _END_LENGTH :] if start >= 0 else tail[-_LENGTH:]
        has_comment = start >= 0 and tail[start + _END_LENGTH - 2 :][:2] == _LENGTH.to_bytes(2, 'little')
        # One of the two tells that there was a seal, if the other is damaged.
        if not has_comment and not stated.startswith(_MARK):
            return False
        digest, left = hashlib.sha256(), size - len(stated)
        file.seek(0)
        while left:
            chunk = file.read(min(left, _CHUNK))
            digest.update(chunk)
            left -= len(chunk)
    return stated != _MARK + digest.hexdigest().encode()
