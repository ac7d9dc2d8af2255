"""Images of 8 bits, by PIL."""

import numpy as np
from PIL import Image, ImageOps

from mmest.pictures.decoders.bands import Bands, chosen_of, orientation_of, three
from mmest.pictures.decoders.damage import any_size, damage_of
from mmest.tiles.grid import Box

_TRANSPARENT = ('LA', 'PA', 'RGBA')


class PilDecoder:
    """Images of 8 bits that PIL knows, kept as PIL decodes them; of a palette ``nodata`` is an index."""

    inverted = False

    def __init__(
        self,
        image: Image.Image,
        name: str,
        nodata: float | None = None,
        unseen: int = 0,
        chosen: Bands | None = None,
    ) -> None:
        self.name, self._image, self.nodata, self._chosen = name, image, nodata, chosen
        self.unseen = 0 if chosen else unseen
        # PIL turns TIFF by itself, and states the size after that.
        turn = orientation_of(image)
        self.turned = turn != 1
        swapped = turn >= 5 and image.format != 'TIFF'
        self.size = image.size[::-1] if swapped else image.size
        self._transparent = image.mode in _TRANSPARENT and len(image.mode) not in (chosen or ())
        self.alpha = image.format == 'TIFF' and image.mode == 'RGBA' and self._transparent
        self._loaded = False

    def load(self) -> None:
        if self._loaded:
            return
        with damage_of(self.name), any_size():  # PIL looks at its limit again for TIFF
            self._image.load()
            if self.turned:
                self._image = ImageOps.exif_transpose(self._image)
        self._loaded = True

    def read(self, box: Box) -> np.ndarray:
        part = self._part(box)
        if self._chosen:
            return three(chosen_of(np.atleast_3d(part), self._chosen))
        return np.asarray(part if part.mode == 'RGB' else part.convert('RGB'))

    def _part(self, box: Box) -> Image.Image:
        self.load()
        if box == (0, 0, *self.size):
            return self._image
        with any_size():
            return self._image.crop(box)

    def valid(self, box: Box) -> np.ndarray | None:
        self.load()
        if not self._transparent and 'transparency' not in self._image.info:
            if self.nodata is None:
                return None
            if self._image.mode == 'P':
                return np.asarray(self._part(box)) != self.nodata
            return (self.read(box) != self.nodata).any(-1)
        return np.asarray(self._part(box).convert('RGBA'))[..., 3] > 0

    def close(self) -> None:
        self._image.close()
