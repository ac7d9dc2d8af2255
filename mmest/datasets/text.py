"""Text files as other tools write them."""

import codecs

# That of UTF-32 begins like one of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: 'utf-32',
    codecs.BOM_UTF32_BE: 'utf-32',
    codecs.BOM_UTF8: 'utf-8-sig',
    codecs.BOM_UTF16_LE: 'utf-16',
    codecs.BOM_UTF16_BE: 'utf-16',
}


def decode(content: bytes) -> str:
    """The text of a file, whether it is UTF-8 or, as PowerShell and Notepad write it, UTF-16; with a mark or without.

    Raises:
        ValueError: it is neither.
    """
    encoding = encoding_of(content)
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        raise ValueError(f'is no text in UTF-8 or UTF-16 (byte {error.start} is not of {encoding})') from error


def encoding_of(content: bytes) -> str:
    """``utf-8``, or what the first bytes tell instead."""
    for mark, encoding in _MARKS.items():
        if content.startswith(mark):
            return encoding
    # Latin letters in UTF-16: every second byte is 0.
    if content[1:2] == b'\0' and content[:1] != b'\0':
        return 'utf-16-le'
    if content[:1] == b'\0' and content[1:2] not in (b'\0', b''):
        return 'utf-16-be'
    return 'utf-8'
