"""Small generated copies of the official layouts, whole or with damage."""

import zipfile
from collections.abc import Iterable
from pathlib import Path

import cv2
import numpy as np

ISPRS_COLOURS = [(0, 0, 0), (255, 255, 255), (0, 0, 255), (0, 255, 255), (0, 255, 0), (255, 255, 0), (255, 0, 0)]
ISAID_COLOURS = [
    (0, 0, 0),
    (0, 0, 63),
    (0, 63, 63),
    (0, 63, 0),
    (0, 63, 127),
    (0, 63, 191),
    (0, 63, 255),
    (0, 127, 63),
    (0, 127, 127),
    (0, 0, 127),
    (0, 0, 191),
    (0, 0, 255),
    (0, 191, 127),
    (0, 127, 191),
    (0, 127, 255),
    (0, 100, 155),
]
DOTA_HEAD = 'imagesource:GoogleEarth\r\ngsd:0.25\r\n'


def picture(path: Path, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Write coarse noise; RGB is returned."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(256, size=(height // 8 + 1, width // 8 + 1, 3), dtype=np.uint8)
    pixels = np.kron(coarse, np.ones((8, 8, 1), np.uint8))[:height, :width]
    write(path, pixels)
    return pixels


def colours(path: Path, height: int, width: int, palette: Iterable[tuple[int, int, int]], seed: int = 0) -> np.ndarray:
    """Write a colour mask of blocks; class numbers are returned."""
    palette = np.array(list(palette), np.uint8)
    coarse = np.random.default_rng(seed).integers(len(palette), size=(height // 16 + 1, width // 16 + 1))
    numbers = np.kron(coarse, np.ones((16, 16), int))[:height, :width]
    write(path, palette[numbers])
    return numbers


def write(path: Path, rgb: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), rgb[..., ::-1])


def text(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def cut_off(path: Path) -> None:
    """As after a download that broke off."""
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def zip_folder(folder: Path, archive: Path, inside: str = '') -> None:
    """Put the files of a folder into an archive, and remove them."""
    with zipfile.ZipFile(archive, 'w', zipfile.ZIP_DEFLATED) as target:
        for path in sorted(folder.rglob('*')):
            if path.is_file():
                target.write(path, f'{inside}{path.relative_to(folder).as_posix()}')
                path.unlink()
    for path in sorted(folder.rglob('*'), reverse=True):
        path.rmdir()
    folder.rmdir()


def voc(name: str, width: int, height: int, objects: Iterable[tuple]) -> str:
    """DIOR's XML of horizontal boxes: (class, xmin, ymin, xmax, ymax)."""
    found = ''.join(
        f'<object><name>{label}</name><pose>Unspecified</pose><truncated>0</truncated><difficult>0</difficult><bndbox>'
        f'<xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>'
        for label, *box in objects
    )
    return (
        f'<annotation><filename>{name}.jpg</filename><size><width>{width}</width><height>{height}</height>'
        f'<depth>3</depth></size><segmented>0</segmented>{found}</annotation>'
    )


def oriented_voc(name: str, width: int, height: int, objects: Iterable[tuple]) -> str:
    """DIOR-R's XML: (class, x1, y1, ..., x4, y4), from the upper left clockwise."""
    places = [
        f'{axis}_{corner}' for corner in ('left_top', 'right_top', 'right_bottom', 'left_bottom') for axis in 'xy'
    ]
    found = ''.join(
        f'<object><type>robndbox</type><name>{label}</name><difficult>0</difficult><robndbox>'
        + ''.join(f'<{place}>{value}</{place}>' for place, value in zip(places, corners))
        + '</robndbox></object>'
        for label, *corners in objects
    )
    return (
        f'<annotation><filename>{name}.jpg</filename><size><width>{width}</width><height>{height}</height>'
        f'<depth>3</depth></size><segmented>0</segmented>{found}</annotation>'
    )


DIOR_CORNERS = [('airplane', 41, 21, 71, 51, 51, 71, 21, 41), ('ship', 70, 5, 90, 5, 90, 45, 70, 45)]
DIOR_BOXES = [('airplane', 11, 21, 60, 70), ('Expressway-Service-area', 1, 1, 128, 128), ('ship', 70, 5, 90, 45)]


def dior(root: Path) -> Path:
    """Two pictures in train, one in val, two in test."""
    for split, names in dict(train=['00001', '00002'], val=['00003'], test=['11726', '11727']).items():
        text(root / f'ImageSets/Main/{split}.txt', '\n'.join(names) + '\n')
        for number, name in enumerate(names):
            picture(root / f'JPEGImages-{"test" if split == "test" else "trainval"}' / f'{name}.jpg', 128, 128, number)
            text(root / 'Annotations/Horizontal Bounding Boxes' / f'{name}.xml', voc(name, 128, 128, DIOR_BOXES))
            text(
                root / 'Annotations/Oriented Bounding Boxes' / f'{name}.xml', oriented_voc(name, 128, 128, DIOR_CORNERS)
            )
    return root


def dota_lines(boxes: Iterable[tuple]) -> str:
    """Lines of labelTxt: (class, x0, y0, x1, y1, difficult)."""
    return ''.join(
        f'{x0} {y0} {x1} {y0} {x1} {y1} {x0} {y1} {label} {difficult}\r\n' for label, x0, y0, x1, y1, difficult in boxes
    )


DOTA_BOXES = [
    ('plane', 100, 100, 160, 170, 0),
    ('ship', 1000, 30, 1050, 80, 0),
    ('ship', 700, 500, 1200, 800, 0),
    ('harbor', 10, 10, 40, 40, 1),
]


def dota(root: Path) -> Path:
    """A picture of two patches in each of train, val and test."""
    for number, split in enumerate(('train', 'val', 'test')):
        name = f'P{number:04d}'
        picture(root / split / 'images' / f'{name}.png', 900, 1300, number)
        if split != 'test':
            text(root / split / 'labelTxt' / f'{name}.txt', DOTA_HEAD + dota_lines(DOTA_BOXES))
    return root


def potsdam(root: Path) -> dict[str, np.ndarray]:
    """One tile in train, one in val; class numbers by tile."""
    masks = {}
    for number, tile in enumerate(('2_10', '2_13')):
        picture(root / '2_Ortho_RGB' / f'top_potsdam_{tile}_RGB.tif', 600, 700, number)
        masks[tile] = colours(
            root / '5_Labels_all_noBoundary' / f'top_potsdam_{tile}_label_noBoundary.tif',
            600,
            700,
            ISPRS_COLOURS,
            number,
        )
    return masks


def vaihingen(root: Path) -> dict[str, np.ndarray]:
    """One area in train, one in val; class numbers by area."""
    masks = {}
    for number, area in enumerate(('area1', 'area2')):
        picture(root / 'ISPRS_semantic_labeling_Vaihingen/top' / f'top_mosaic_09cm_{area}.tif', 530, 600, number)
        masks[area] = colours(
            root
            / 'ISPRS_semantic_labeling_Vaihingen_ground_truth_eroded_COMPLETE'
            / f'top_mosaic_09cm_{area}_noBoundary.tif',
            530,
            600,
            ISPRS_COLOURS,
            number,
        )
    return masks


def loveda(root: Path) -> Path:
    """Two pictures a split, urban and rural."""
    number = 0
    for split in ('Train', 'Val', 'Test'):
        for domain in ('Rural', 'Urban'):
            picture(root / split / domain / 'images_png' / f'{number}.png', 96, 96, number)
            if split != 'Test':
                mask = np.random.default_rng(number).integers(8, size=(96, 96), dtype=np.uint8)
                path = root / split / domain / 'masks_png' / f'{number}.png'
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), mask)
            number += 1
    return root


def isaid(root: Path) -> dict[str, np.ndarray]:
    """A large picture in train, a small one in val; class numbers by picture."""
    masks = {}
    for name, split, height, width in (('P0005', 'train', 950, 1000), ('P0003', 'val', 300, 400)):
        picture(root / split / 'images' / f'{name}.png', height, width)
        masks[name] = colours(
            root / split / 'Semantic_masks' / f'{name}_instance_color_RGB.png', height, width, ISAID_COLOURS
        )
    return masks


ALL = dict(dior=dior, dior_r=dior, dota=dota, potsdam=potsdam, vaihingen=vaihingen, loveda=loveda, isaid=isaid)
