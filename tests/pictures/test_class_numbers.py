"""Masks as class numbers, and both loaders in place of those of mmcv and mmseg."""

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import TRANSFORMS
from PIL import Image
from toy import METHODS, runner_cfg

from mmest.engine.launch import build_runner
from mmest.pictures import UnusableImage, read_mask
from mmest.pictures.transforms import LoadImage, LoadMask, use_reader

NUMBERS = np.random.default_rng(0).integers(0, 7, (20, 30), dtype=np.uint8)
NUMBERS[:3] = 255


def save(path, pixels, **options):
    Image.fromarray(pixels).save(path, **options)
    return path


def test_class_numbers_of_every_kind(tmp_path):
    palette = Image.fromarray(NUMBERS)
    palette.putpalette(list(range(256)) * 3)
    palette.save(tmp_path / 'palette.png')
    save(tmp_path / 'grey.png', NUMBERS)
    save(tmp_path / 'deep.png', NUMBERS.astype(np.uint16))
    save(tmp_path / 'float.tif', NUMBERS.astype(np.float32))
    save(tmp_path / 'int.tif', NUMBERS.astype(np.int32))
    for name in ('palette.png', 'grey.png', 'deep.png', 'float.tif', 'int.tif'):
        assert np.array_equal(read_mask(tmp_path / name), NUMBERS), name
        assert read_mask((tmp_path / name).read_bytes()).dtype == np.uint8
    assert np.array_equal(read_mask(save(tmp_path / 'bits.png', NUMBERS > 3)), NUMBERS > 3)
    save(tmp_path / 'small.png', NUMBERS[3:], bits=4)
    Image.fromarray(NUMBERS[3:]).save(tmp_path / 'few.png', bits=4)
    assert np.array_equal(read_mask(tmp_path / 'few.png'), NUMBERS[3:])
    assert np.array_equal(read_mask(save(tmp_path / 'few.gif', NUMBERS[3:])), NUMBERS[3:])


@pytest.mark.parametrize('order', ['LITTLE', 'BIG'])
@pytest.mark.parametrize('compress', ['NONE', 'DEFLATE'])
@pytest.mark.parametrize(
    'kind', ['int8', 'uint16', 'int16', 'uint32', 'int32', 'uint64', 'int64', 'float32', 'float64']
)
def test_class_numbers_of_every_kind_of_tiff(kind, compress, order, tmp_path, monkeypatch):
    """PIL does not know numbers of 64 bits, and gives some of the other order with their bytes swapped."""
    rasterio = pytest.importorskip('rasterio')
    signed = not kind.startswith('u')
    numbers = np.where(NUMBERS == 255, -9 if signed else 3, NUMBERS.astype(np.int64)).astype(kind)
    form = dict(driver='GTiff', width=30, height=20, count=1, dtype=kind, nodata=-9 if signed else None)
    with rasterio.open(tmp_path / 'mask.tif', 'w', **form, compress=compress, ENDIANNESS=order) as out:
        out.write(numbers, 1)
    expected = np.where(NUMBERS == 255, 255 if signed else 3, NUMBERS)
    assert np.array_equal(read_mask(tmp_path / 'mask.tif'), expected)
    monkeypatch.setattr('mmest.pictures.decoders.rasterio', None)
    assert np.array_equal(read_mask(tmp_path / 'mask.tif'), expected)


@pytest.mark.parametrize('photometric', ['MINISBLACK', 'MINISWHITE'])
@pytest.mark.parametrize('bits, compress', [(1, 'NONE'), (1, 'CCITTFAX4'), (2, 'DEFLATE'), (4, 'NONE'), (8, 'LZW')])
def test_class_numbers_are_those_stored_whichever_is_white(bits, compress, photometric, tmp_path):
    """PIL turns numbers round whose 0 is white, and so swapped the classes of masks of one bit."""
    rasterio = pytest.importorskip('rasterio')
    numbers = np.minimum(NUMBERS, 2**bits - 1)
    form = dict(driver='GTiff', width=30, height=20, count=1, dtype='uint8', NBITS=bits, compress=compress)
    with rasterio.open(tmp_path / 'mask.tif', 'w', **form, photometric=photometric) as out:
        out.write(numbers, 1)
    assert np.array_equal(read_mask(tmp_path / 'mask.tif'), numbers)


@pytest.mark.parametrize('largest', [1, 7, 255, 1000, 65535])
@pytest.mark.parametrize('plain', [False, True])
def test_class_numbers_of_a_map_that_states_its_largest(plain, largest, tmp_path):
    numbers = NUMBERS[3:].clip(max=min(largest, 255))
    stored = numbers.astype('>u2' if largest > 255 else 'u1').tobytes()
    written = ' '.join(map(str, numbers.ravel().tolist())).encode() if plain else stored
    (tmp_path / 'mask.pgm').write_bytes(f'P{2 if plain else 5} 30 17 {largest}\n'.encode() + written)
    assert np.array_equal(read_mask(tmp_path / 'mask.pgm'), numbers)


def test_what_is_no_number_is_ignored(tmp_path):
    numbers = NUMBERS.astype(np.float32)
    numbers[5] = np.nan
    assert (read_mask(save(tmp_path / 'nan.tif', numbers))[5] == 255).all()
    expected = NUMBERS.copy()
    expected[5] = 255
    assert np.array_equal(read_mask(tmp_path / 'nan.tif'), expected)
    deep = NUMBERS.astype(np.int32)
    deep[5] = -9999
    assert np.array_equal(read_mask(save(tmp_path / 'stated.tif', deep, tiffinfo={42113: '-9999'})), expected)


@pytest.mark.parametrize('kind', ['uint8', 'uint16', 'int16'])
def test_a_nodata_value_that_is_a_class_number_is_one(kind, tmp_path):
    """GDAL states 0 for many files, without a thought of the class 0."""
    rasterio = pytest.importorskip('rasterio')
    form = dict(driver='GTiff', width=30, height=20, count=1, dtype=kind, nodata=0)
    with rasterio.open(tmp_path / 'mask.tif', 'w', **form) as out:
        out.write(NUMBERS.astype(kind), 1)
    assert np.array_equal(read_mask(tmp_path / 'mask.tif'), NUMBERS)


def test_a_mask_is_turned_as_its_image_is(tmp_path):
    tags = Image.Exif()
    tags[274] = 6  # a quarter to the right
    save(tmp_path / 'mask.png', NUMBERS, exif=tags)
    assert np.array_equal(read_mask(tmp_path / 'mask.png'), np.rot90(NUMBERS, -1))


def test_what_is_no_mask_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='gone.png is not there'):
        read_mask(tmp_path / 'gone.png')
    with pytest.raises(UnusableImage, match='rgb.png is a colour image'):
        read_mask(save(tmp_path / 'rgb.png', np.dstack([NUMBERS] * 3)))
    with pytest.raises(UnusableImage, match='rgb.tif is a colour image'):
        read_mask(save(tmp_path / 'rgb.tif', np.dstack([NUMBERS] * 3)))
    with pytest.raises(UnusableImage, match='deep.png has pixels of value 256'):
        read_mask(save(tmp_path / 'deep.png', np.full((4, 4), 256, np.uint16)))
    with pytest.raises(UnusableImage, match='minus.tif has pixels of value -1'):
        read_mask(save(tmp_path / 'minus.tif', np.full((4, 4), -1, np.int32)))
    with pytest.raises(UnusableImage, match='part.tif has pixels of value 0.5'):
        read_mask(save(tmp_path / 'part.tif', np.full((4, 4), 0.5, np.float32)))
    (tmp_path / 'text.png').write_text('x')
    with pytest.raises(UnusableImage, match='text.png is not a whole image'):
        read_mask(tmp_path / 'text.png')


@pytest.mark.parametrize('reduce_zero_label', [False, True])
@pytest.mark.parametrize('label_map', [None, {0: 255, 1: 0, 2: 1, 3: 255, 4: 2, 5: 255, 6: 3}])
def test_masks_are_what_mmseg_loads(tmp_path, reduce_zero_label, label_map):
    loading = pytest.importorskip('mmseg.datasets.transforms')
    results = dict(
        seg_map_path=str(save(tmp_path / 'mask.png', NUMBERS)),
        reduce_zero_label=reduce_zero_label,
        label_map=label_map,
    )
    expected = loading.LoadAnnotations()(dict(results, seg_fields=[]))
    found = LoadMask()(dict(results, seg_fields=[]))
    assert np.array_equal(found.pop('gt_seg_map'), expected.pop('gt_seg_map')) and found == expected


def test_loaders_are_swapped_wherever_they_stand():
    plain = [
        dict(type='LoadImageFromFile', imdecode_backend='pillow'),
        dict(type='mmseg.LoadAnnotations'),
        dict(type='Pack'),
    ]
    kept = dict(type='LoadImageFromFile', backend_args=dict(backend='petrel'))
    loader = Config(
        dict(dataset=dict(type='ConcatDataset', datasets=[dict(pipeline=plain), dict(dataset=dict(pipeline=[kept]))]))
    )
    use_reader(loader.dataset, True, (0, 9))
    first, second = loader.dataset.datasets
    assert first.pipeline == [
        dict(type='LoadImage', scale=(0, 9), bands=None),
        dict(type='LoadMask'),
        dict(type='Pack'),
    ]
    assert second.dataset.pipeline == [kept]
    boxes = dict(pipeline=[dict(type='LoadAnnotations', with_bbox=True), dict(type='LoadAnnotations')])
    use_reader(boxes, False)
    assert [one['type'] for one in boxes['pipeline']] == ['LoadAnnotations'] * 2
    assert repr(TRANSFORMS.build(first.pipeline[0])) == 'LoadImage(scale=(0.0, 9.0), bands=None)'


def test_a_pipeline_that_a_training_changes_to_reads_as_the_first_does(weights, tmp_path):
    later = [dict(type='LoadImageFromFile', backend_args=None), dict(type='LoadAnnotations', with_bbox=True)]
    switch = dict(type='mmdet.PipelineSwitchHook', switch_epoch=1, switch_pipeline=later)
    cfg = runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path, image_scale=(0, 9))
    cfg.custom_hooks = [*cfg.custom_hooks, switch]
    runner = build_runner(cfg, 'none')
    (hook,) = (hook for hook in runner.hooks if hasattr(hook, 'switch_pipeline'))
    assert [step['type'] for step in hook.switch_pipeline] == ['LoadImage', 'LoadAnnotations']
    assert tuple(hook.switch_pipeline[0]['scale']) == (0, 9)
    assert runner.cfg.custom_hooks[-1].switch_pipeline[0].type == 'LoadImageFromFile'


def test_remote_files_are_fetched_as_mmengine_does(tmp_path, monkeypatch):
    content = save(tmp_path / 'x.png', NUMBERS).read_bytes()
    monkeypatch.setattr('mmengine.fileio.get', lambda address: {'s3://data/x.png': content}.get(address, b'x'))
    assert np.array_equal(LoadMask()(dict(seg_map_path='s3://data/x.png'))['gt_seg_map'], NUMBERS)
    assert np.array_equal(LoadImage()(dict(img_path='s3://data/x.png'))['img'][..., 0], NUMBERS)
    with pytest.raises(UnusableImage, match='s3://data/y.png is not a whole image'):
        LoadImage()(dict(img_path='s3://data/y.png'))
