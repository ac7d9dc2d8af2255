"""Images of more than 8 bits, by OpenCV."""

import io

import cv2
import numpy as np
from PIL import Image

from mmest.pictures.decoders.bands import Bands, check_bands, chosen_of, three, turned_by
from mmest.pictures.decoders.damage import any_size, damage_of
from mmest.pictures.levels import Scale, check_kind
from mmest.pictures.problems import UnusableImage
from mmest.pictures.tiff import TiffHeader
from mmest.tiles.grid import Box


class ArrayDecoder:
    """Images of more than 8 bits, as OpenCV decodes them."""

    def __init__(
        self,
        content: bytes,
        name: str,
        size: tuple[int, int],
        turn: int,
        scale: Scale | None,
        header: TiffHeader | None,
        chosen: Bands | None = None,
    ) -> None:
        self.name, self._content, self._turn, self._scale, self._header = name, content, turn, scale, header
        self._chosen = chosen
        self.turned = turn != 1
        self.size = size[::-1] if turn >= 5 else size
        self.inverted = bool(header and header.inverted)
        self.alpha = bool(header and header.alpha and header.bands == 4) and not (chosen and 4 in chosen)
        self.unseen = header.unseen if header and not chosen else 0
        self.nodata = header.nodata if header else None
        self._stored: np.ndarray | None = None

    def load(self) -> None:
        if self._stored is not None:
            return
        with damage_of(self.name):
            if self._content.startswith(b'\x89PNG'):  # OpenCV fills up what is missing
                with any_size(), Image.open(io.BytesIO(self._content)) as image:
                    image.verify()
            found = cv2.imdecode(
                np.frombuffer(self._content, np.uint8), cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
            )
            if found is None:
                raise OSError('OpenCV cannot decode it')
        self._content = b''
        found = found[..., None] if found.ndim == 2 else found
        if self._header and found.shape[2] != self._header.bands:
            raise UnusableImage(
                self.name, f'has {self._header.bands} bands of a kind that only rasterio reads: pip install rasterio'
            )
        check_bands(self.name, found.shape[2], found.shape[2] in (2, 4), self._chosen)
        check_kind(self.name, found.dtype.name, self._scale)
        order = [2, 1, 0, 3] if found.shape[2] == 4 else [2, 1, 0]
        self._stored = turned_by(found[..., order] if found.shape[2] >= 3 else found, self._turn)

    def _bands(self, box: Box) -> np.ndarray:
        self.load()
        return self._stored[box[1] : box[3], box[0] : box[2]]

    def read(self, box: Box) -> np.ndarray:
        return three(chosen_of(self._bands(box), self._chosen))

    def valid(self, box: Box) -> np.ndarray | None:
        bands = self._bands(box)
        header = self._header
        last = bands.shape[2]
        if last in (2, 4) and (header is None or header.alpha) and last not in (self._chosen or ()):
            return bands[..., -1] > 0
        shown = self.read(box)
        found = ~np.isnan(shown)
        if self.nodata is not None:
            found &= shown != self.nodata
        return found.any(-1)

    def close(self) -> None:
        self._stored = None
