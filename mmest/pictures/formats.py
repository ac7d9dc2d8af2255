"""The formats that are read, and how their files end."""

#: By the name that PIL has for the format. Others are none of imagery, and some run a program when they are decoded.
ENDINGS_OF = dict(
    TIFF=('.tif', '.tiff'),
    PNG=('.png',),
    JPEG=('.jpg', '.jpeg', '.jpe', '.jfif'),
    JPEG2000=('.jp2', '.j2k', '.j2c', '.jpx'),
    WEBP=('.webp',),
    BMP=('.bmp',),
    GIF=('.gif',),
    PPM=('.ppm', '.pgm', '.pbm', '.pnm'),
)
FORMATS = tuple(ENDINGS_OF)
#: Of image files in folders, in small letters; a file that is named may end as it will.
ENDINGS = tuple(ending for endings in ENDINGS_OF.values() for ending in endings)
#: Of files whose numbers may be others than those that were written; WebP says in the file.
LOSSY = (*ENDINGS_OF['JPEG'], *ENDINGS_OF['JPEG2000'])
