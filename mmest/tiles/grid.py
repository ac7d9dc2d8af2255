"""A large image as overlapping tiles."""

Box = tuple[int, int, int, int]


def starts(length: int, size: int, overlap: int = 0) -> list[int]:
    """Where tiles begin along one side. The last is moved back to end with the image, so none is narrower than
    ``size`` unless the image is.
    """
    step = size - overlap
    count = max(0, -(-(length - size) // step)) + 1
    return [min(i * step, max(0, length - size)) for i in range(count)]


def tiles(width: int, height: int, size: int, overlap: int = 0) -> list[Box]:
    """Tiles that cover an image, row by row, as (x0, y0, x1, y1).

    Args:
        width: of the image, in pixels.
        height: of the image, in pixels.
        size: side of a tile.
        overlap: pixels that neighbours share at least.
    """
    return [
        (x, y, min(x + size, width), min(y + size, height))
        for y in starts(height, size, overlap)
        for x in starts(width, size, overlap)
    ]
