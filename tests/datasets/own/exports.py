"""Small copies of what labelling tools export, drawn here: each returns the boxes that it drew, by split and image."""

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

SIZE = (96, 64)  # width, height
CLASSES = ('plane', 'ship')
COLOURS = ((250, 40, 40), (40, 60, 250))
Boxes = list[tuple[int, int, int, int, int]]  # class, x0, y0, x1, y1


def draw(number: int, size: tuple[int, int] = SIZE) -> tuple[np.ndarray, Boxes]:
    """An image with up to three rectangles that do not touch; image 0 has none."""
    random = np.random.default_rng(number)
    width, height = size
    pixels = random.integers(90, 130, (height, width, 3), dtype=np.uint8)
    boxes: Boxes = []
    for slot in range(3 if number else 0):
        w, h = random.integers(8, width // 3 - 8), random.integers(10, height - 20)
        x0, y0 = slot * width // 3 + random.integers(1, 7), random.integers(2, height - h - 2)
        kind = int(random.integers(2))
        pixels[y0 : y0 + h, x0 : x0 + w] = COLOURS[kind]
        boxes.append((kind, int(x0), int(y0), int(x0 + w), int(y0 + h)))
    return pixels, boxes


def mask_of(boxes: Boxes, size: tuple[int, int] = SIZE) -> np.ndarray:
    """0 ground, 1 plane, 2 ship."""
    mask = np.zeros(size[::-1], np.uint8)
    for kind, x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = kind + 1
    return mask


def images(folder: Path, names: list[str], first: int = 1) -> dict[str, Boxes]:
    """Write images; the number of each is that of its name in the list, from ``first`` on."""
    folder.mkdir(parents=True, exist_ok=True)
    truth = {}
    for number, name in enumerate(names, start=first):
        pixels, truth[name] = draw(number, SIZE)
        Image.fromarray(pixels).save(folder / name)
    return truth


def coco(truth: dict[str, Boxes], first_id: int = 1, dummy: bool = False, outlines: bool = False) -> dict:
    """A COCO file; ``dummy`` puts Roboflow's parent of all classes before them."""
    categories = [dict(id=0, name='things', supercategory='none')] if dummy else []
    parent = 'things' if dummy else ''
    categories += [dict(id=first_id + i, name=name, supercategory=parent) for i, name in enumerate(CLASSES)]
    annotations = []
    for number, boxes in enumerate(truth.values()):
        for kind, x0, y0, x1, y1 in boxes:
            one = dict(id=len(annotations), image_id=number, category_id=first_id + kind, iscrowd=0)
            one.update(bbox=[x0, y0, x1 - x0, y1 - y0], area=(x1 - x0) * (y1 - y0))
            if outlines:
                one['segmentation'] = [[x0, y0, x1, y0, x1, y1, x0, y1]]
            annotations.append(one)
    listed = [dict(id=i, file_name=name, width=SIZE[0], height=SIZE[1]) for i, name in enumerate(truth)]
    return dict(images=listed, annotations=annotations, categories=categories)


def roboflow_coco(root: Path) -> dict[str, dict[str, Boxes]]:
    truth = {}
    for split, first in (('train', 0), ('valid', 10), ('test', 20)):
        names = [f'scene-{first + i}_jpg.rf.{first + i:032x}.png' for i in range(3)]
        truth[split] = images(root / split, names, first)
        (root / split / '_annotations.coco.json').write_text(json.dumps(coco(truth[split], dummy=True)))
    (root / 'README.roboflow.txt').write_text('exported')
    return truth


def cvat_coco(root: Path) -> dict[str, dict[str, Boxes]]:
    truth = {}
    for split, first in (('train', 1), ('validation', 10)):
        truth[split] = images(root / 'images' / split, [f'{first + i}.png' for i in range(3)], first)
        file = root / 'annotations' / f'instances_{split}.json'
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(coco(truth[split], outlines=True)))
    return truth


def label_studio(root: Path) -> dict[str, dict[str, Boxes]]:
    found = images(root / 'images', [f'{i:04x}-field.png' for i in range(10)])
    content = coco({f'images\\{name}': boxes for name, boxes in found.items()}, first_id=0)
    (root / 'result.json').write_text('\ufeff' + json.dumps(content))
    return dict(all=found)


def _yolo_lines(boxes: Boxes, outlines: bool) -> str:
    lines = []
    for kind, x0, y0, x1, y1 in boxes:
        if outlines:
            points = [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]
            values = [value for x, y in points for value in (x / SIZE[0], y / SIZE[1])]
        else:
            values = [(x0 + x1) / 2 / SIZE[0], (y0 + y1) / 2 / SIZE[1], (x1 - x0) / SIZE[0], (y1 - y0) / SIZE[1]]
        lines.append(' '.join([str(kind), *(f'{value:.8f}' for value in values)]))
    return '\n'.join(lines)


def _yolo(images_folder: Path, labels_folder: Path, first: int, outlines: bool = False) -> dict[str, Boxes]:
    truth = images(images_folder, [f'im{first + i}.png' for i in range(3)], first)
    labels_folder.mkdir(parents=True, exist_ok=True)
    for name, boxes in truth.items():
        (labels_folder / name).with_suffix('.txt').write_text(_yolo_lines(boxes, outlines))
    return truth


def yolo_roboflow(root: Path) -> dict[str, dict[str, Boxes]]:
    """Paths in data.yaml lead to the folder above, where there is nothing."""
    truth = {
        split: _yolo(root / split / 'images', root / split / 'labels', first)
        for split, first in (('train', 0), ('valid', 10))
    }
    (root / 'data.yaml').write_text(
        'train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 2\nnames: [plane, ship]\n'
    )
    return truth


def yolo_ultralytics(root: Path, outlines: bool = False) -> dict[str, dict[str, Boxes]]:
    truth = {
        split: _yolo(root / 'images' / split, root / 'labels' / split, first, outlines)
        for split, first in (('train', 1), ('val', 10))
    }
    (root / 'own.yaml').write_text(
        f'path: ../datasets/{root.name}  # as ultralytics writes it\ntrain: images/train\nval: images/val\n'
        'names:\n  0: plane\n  1: ship\n'
    )
    return truth


def yolo_outlines(root: Path) -> dict[str, dict[str, Boxes]]:
    return yolo_ultralytics(root, outlines=True)


def yolo_classes_txt(root: Path) -> dict[str, dict[str, Boxes]]:
    truth = _yolo(root / 'images', root / 'labels', 1) | _yolo(root / 'images', root / 'labels', 10)
    (root / 'classes.txt').write_text('plane\nship\n')
    return dict(all=truth)


def _xml(name: str, boxes: Boxes, first: int) -> bytes:
    root = ElementTree.Element('annotation')
    ElementTree.SubElement(root, 'filename').text = name
    size = ElementTree.SubElement(root, 'size')
    for side, value in zip(('width', 'height', 'depth'), (*SIZE, 3)):
        ElementTree.SubElement(size, side).text = str(value)
    for kind, *corners in boxes:
        one = ElementTree.SubElement(root, 'object')
        ElementTree.SubElement(one, 'name').text = CLASSES[kind]
        ElementTree.SubElement(one, 'difficult').text = '0'
        box = ElementTree.SubElement(one, 'bndbox')
        for side, value, shift in zip(('xmin', 'ymin', 'xmax', 'ymax'), corners, (first, first, 0, 0)):
            ElementTree.SubElement(box, side).text = str(value + shift)
    return ElementTree.tostring(root)


def voc_flat(root: Path) -> dict[str, dict[str, Boxes]]:
    truth = {}
    for split, first in (('train', 1), ('valid', 10)):
        truth[split] = images(root / split, [f'{first + i}.png' for i in range(3)], first)
        for name, boxes in truth[split].items():
            (root / split / name).with_suffix('.xml').write_bytes(_xml(name, boxes, 0))
    return truth


def vocdevkit(root: Path) -> dict[str, dict[str, Boxes]]:
    """Corners are counted from 1; images have another ending than the annotations say."""
    home = root / 'VOCdevkit' / 'VOC2007'
    found = images(home / 'JPEGImages', [f'{i:06d}.png' for i in range(1, 7)])
    for folder in ('Annotations', 'ImageSets/Main'):
        (home / folder).mkdir(parents=True)
    for name, boxes in found.items():
        (home / 'Annotations' / name).with_suffix('.xml').write_bytes(_xml(name[:-4] + '.jpg', boxes, 1))
    names = sorted(found)
    parts = dict(train=names[:4], val=names[4:])
    for split, part in (*parts.items(), ('trainval', names)):
        (home / 'ImageSets/Main' / f'{split}.txt').write_text('\n'.join(name[:-4] for name in part))
    return {split: {name: found[name] for name in part} for split, part in parts.items()}


BOXES = {
    'COCO JSON': (roboflow_coco, cvat_coco, label_studio),
    'YOLO': (yolo_roboflow, yolo_ultralytics, yolo_outlines, yolo_classes_txt),
    'Pascal VOC': (voc_flat, vocdevkit),
}


def _write_masks(root: Path, places: dict[str, tuple[str, str, int]], save) -> dict[str, dict[str, np.ndarray]]:
    truth: dict[str, dict[str, np.ndarray]] = {}
    for split, (image_folder, mask_name, first) in places.items():
        truth[split] = {}
        for name, boxes in images(root / image_folder, [f'p{first + i}.jpg' for i in range(3)], first).items():
            file = root / mask_name.format(name[:-4])
            file.parent.mkdir(parents=True, exist_ok=True)
            truth[split][name] = save(mask_of(boxes), file)
    return truth


def _index(mask: np.ndarray, file: Path) -> np.ndarray:
    Image.fromarray(mask).save(file)
    return mask


def _palette(mask: np.ndarray, file: Path) -> np.ndarray:
    image = Image.fromarray(mask).convert('P')
    image.putdata(mask.ravel().tolist())
    image.putpalette([0, 0, 0, *COLOURS[0], *COLOURS[1]])
    image.save(file)
    return mask


def _binary(mask: np.ndarray, file: Path) -> np.ndarray:
    Image.fromarray((mask > 0).astype(np.uint8) * 255).save(file)
    return (mask > 0).astype(np.uint8)


def _coloured(mask: np.ndarray, file: Path) -> np.ndarray:
    Image.fromarray(np.array([(0, 0, 0), *COLOURS], np.uint8)[mask]).save(file)
    return mask


def index_masks(root: Path) -> dict[str, dict[str, np.ndarray]]:
    (root / 'classes.txt').write_text('ground\nplane\nship\n')
    places = dict(train=('images/train', 'masks/train/{}.png', 1), val=('images/val', 'masks/val/{}.png', 10))
    return _write_masks(root, places, _index)


def palette_masks(root: Path) -> dict[str, dict[str, np.ndarray]]:
    places = dict(train=('train/images', 'train/labels/{}.png', 1), valid=('valid/images', 'valid/labels/{}.png', 10))
    return _write_masks(root, places, _palette)


def binary_masks(root: Path) -> dict[str, dict[str, np.ndarray]]:
    return _write_masks(
        root, dict(all=('images', 'masks/{}_mask.png', 1), more=('images', 'masks/{}_mask.png', 10)), _binary
    )


def colour_masks(root: Path) -> dict[str, dict[str, np.ndarray]]:
    rows = zip(('ground', *CLASSES), ((0, 0, 0), *COLOURS))
    lines = [','.join(map(str, (name, *colour))) for name, colour in rows]
    (root / 'class_dict.csv').write_text('\n'.join(['name,r,g,b', *lines]))
    return _write_masks(
        root, dict(train=('train', 'train_labels/{}.png', 1), val=('val', 'val_labels/{}.png', 10)), _coloured
    )


def roboflow_masks(root: Path) -> dict[str, dict[str, np.ndarray]]:
    for split in ('train', 'valid'):
        (root / split).mkdir()
        (root / split / '_classes.csv').write_text('Pixel Value, Class\n0, ground\n1, plane\n2, ship\n')
    places = dict(train=('train', 'train/{}_mask.png', 1), valid=('valid', 'valid/{}_mask.png', 10))
    return _write_masks(root, places, _index)


MASKS = (index_masks, palette_masks, binary_masks, colour_masks, roboflow_masks)
