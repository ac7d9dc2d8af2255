"""What the header of a JPEG 2000 file says of its bands."""

import struct
from collections.abc import Iterator
from typing import BinaryIO

_SIGNATURES = (b'\x00\x00\x00\x0cjP  \r\n\x87\n', b'\xffO\xffQ')
_GREY = 17  # of the enumerated colour spaces


def is_jpeg2000(start: bytes) -> bool:
    """Whether a file that begins so is one."""
    return start.startswith(_SIGNATURES)


def only_bands(stream: BinaryIO) -> bool:
    """Whether a file has bands that its header calls no colours: two and more that are grey, as GDAL writes all bands,
    or more than four. OpenCV would show the first of them, or none. Codestreams without a header say nothing.
    """
    bands, space = 0, None
    stream.seek(0)
    for kind, end in _boxes(stream):
        if kind == b'jp2c':
            break
        if kind == b'jp2h':
            for inner, _ in _boxes(stream, end):
                body = stream.read(10)
                if inner == b'ihdr' and len(body) == 10:
                    (bands,) = struct.unpack('>8xH', body)
                elif inner == b'colr' and body[:1] == b'\x01' and space is None and len(body) >= 7:
                    (space,) = struct.unpack('>3xI', body[:7])
    return bands > 4 or bands > 1 and space == _GREY


def _boxes(stream: BinaryIO, end: int | None = None) -> Iterator[tuple[bytes, int]]:
    """The kind of each box from here on, and where it ends; the stream stands at its content."""
    while end is None or stream.tell() < end:
        begin, head = stream.tell(), stream.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack('>I4s', head)
        if length == 1 and len(more := stream.read(8)) == 8:
            (length,) = struct.unpack('>Q', more)
        yield kind, begin + length
        if length < 8:  # the last one, or damaged
            return
        stream.seek(begin + length)
