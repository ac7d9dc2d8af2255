"""What the pixels of masks mean, by what is written beside them; which mask an image has."""

import tracemalloc

import cv2
import numpy as np
import pytest
from PIL import Image

from mmest.datasets.own import masks
from mmest.datasets.own.mask_pixels import MaskReader
from mmest.datasets.own.sample import Notes

WHITE, BLACK, RED, GREEN, VOID = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 255, 0), (224, 224, 192)


@pytest.fixture
def read(tmp_path):
    """Classes, what each value of a mask became, and the notes, of one mask and the files beside it."""

    def of(values, beside=None, mode='L', ending='png', palette=(), **more):
        """``values``: a row of levels, indices or colours; each is shown as a square, so that loss stays at edges."""
        row = np.array(values, np.uint8)
        pixels = np.repeat(np.repeat(row[None], 40, 0), 40, 1)
        image = Image.fromarray(pixels)
        if mode == 'P':
            image = image.convert('P')
            image.putdata(pixels.ravel().tolist())
            table = np.zeros((256, 3), np.uint8)
            for index, colour in palette:
                table[index] = colour
            image.putpalette(table.ravel().tolist())
        file = tmp_path / f'mask.{ending}'
        (image if mode == 'P' else image.convert(mode)).save(file, **more)
        for name, text in (beside or {}).items():
            (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        notes = Notes()
        reader = MaskReader(tmp_path, [file], notes)
        return reader.classes, reader.read(file)[20, 20::40].tolist(), ' '.join(notes.lines())

    return of


def table(**colours):
    return {'class_dict.csv': 'name,r,g,b\n' + '\n'.join(f'{name},{r},{g},{b}' for name, (r, g, b) in colours.items())}


@pytest.mark.parametrize('mode, ending', [('RGB', 'png'), ('L', 'png'), ('RGB', 'jpg'), ('L', 'jpg')])
@pytest.mark.parametrize('order', [('road', 'ground'), ('ground', 'road')])
def test_black_and_white_are_the_colours_of_the_table(read, mode, ending, order):
    colours = dict(road=WHITE, ground=BLACK)
    classes, numbers, _ = read([0, 255], table(**{name: colours[name] for name in order}), mode, ending)
    assert classes == list(order) and numbers == [order.index('ground'), order.index('road')]


def test_a_label_map_of_cvat(read):
    text = '# label:color_rgb:parts:actions\nbackground:0,0,0::\nroad:255,255,255::\n'
    assert read([0, 255, 0], {'labelmap.txt': text}, 'RGB')[:2] == (['background', 'road'], [0, 1, 0])


def test_a_label_map_without_colours_names_alone(read):
    assert read([0, 1, 2], {'labelmap.txt': 'background:::\nroad:::\nroof:::\n'})[:2] == (
        ['background', 'road', 'roof'],
        [0, 1, 2],
    )


def test_greys_of_a_table(read):
    beside = table(high=WHITE, low=BLACK, middle=(128, 128, 128))
    assert read([0, 128, 255], beside)[:2] == (['high', 'low', 'middle'], [1, 2, 0])


@pytest.mark.parametrize('mode', ['L', 'RGB'])
def test_black_and_white_beside_two_colours_that_are_only_to_look_at(read, mode):
    classes, numbers, note = read([0, 255], table(road=RED, ground=BLACK), mode)
    assert classes == ['road', 'ground'] and numbers == [1, 0] and 'ground and road' in note


@pytest.mark.parametrize('values, white', [([0, 255], 255), ([0, 1], 1)])
def test_a_list_may_name_the_white_class_alone(read, values, white):
    classes, numbers, note = read(values, {'classes.txt': 'building\n'})
    assert classes == ['background', 'building'] and numbers == [0, 1] and f'values 0 and {white}' in note


def test_one_class_and_unlabelled_ground(read):
    assert read([0, 1, 255], {'classes.txt': 'building\n'})[1] == [0, 1, 255]


def test_a_palette_is_read_through_its_colours(read):
    beside = table(tree=GREEN, road=RED, ground=BLACK)
    shown = read([0, 1, 2], beside, 'P', palette=enumerate([BLACK, RED, GREEN]))
    assert shown[:2] == (['tree', 'road', 'ground'], [2, 1, 0])


def test_the_border_of_a_palette_is_ignored(read):
    beside = table(tree=GREEN, road=RED, ground=BLACK)
    palette = [(0, BLACK), (1, RED), (2, GREEN), (255, VOID)]
    assert read([0, 255, 2], beside, 'P', palette=palette)[1] == [2, 255, 0]


@pytest.mark.parametrize('mode', ['L', 'P'])
def test_class_numbers_stay_numbers_where_the_table_has_other_colours(read, mode):
    beside = table(ground=BLACK, road=RED, tree=GREEN)
    assert read([0, 1, 2, 255], beside, mode, palette=[(i, (i, i, i)) for i in range(256)])[1] == [0, 1, 2, 255]


@pytest.mark.parametrize(
    'text',
    ['low 1\nhigh\n', '\ufefflow 1\r\nhigh\r\n', 'Class\nlow 1\nhigh\n', '"low 1",\n,\n"high",\n'],
    ids=['plain', 'with a mark', 'below a title', 'of a spreadsheet'],
)
def test_a_column_of_names_alone_names_classes_in_order(read, text):
    assert read([0, 1], {'classes.csv': text})[:2] == (['low 1', 'high'], [0, 1])


def test_empty_rows_of_a_spreadsheet_are_no_classes(read):
    beside = {'class_dict.csv': 'name;r;g;b\nlow;0;0;0\n;;;\nhigh;0;0;255\n;;;\n'}
    assert read([BLACK, (0, 0, 255)], beside, 'RGB')[:2] == (['low', 'high'], [0, 1])


def test_values_of_a_table_are_never_shifted(read):
    beside = {'classes.csv': '1,road\n2,water\n'}
    classes, numbers, note = read([0, 1], beside)
    assert classes == ['road', 'water'] and numbers == [255, 0] and 'pixels of value 0 are ignored' in note
    assert read([1, 2, 255], beside)[1:] == ([0, 1, 255], '')
    with pytest.raises(ValueError, match=r'pixels of value 3, which the table of classes does not have: it has 1, 2'):
        read([1, 3], beside)


@pytest.mark.parametrize(
    'text, numbers',
    [
        ('["low", "high"]', [0, 1]),
        ('{"low": 0, "high": 1}', [0, 1]),
        ('{"0": "low", "1": "high"}', [0, 1]),
        ('{"1": "low", "0": "high"}', [1, 0]),
        ('{"low": [1, 1, 1], "high": [0, 0, 0]}', [1, 0]),
    ],
)
def test_names_in_json(read, text, numbers):
    assert read([0, 1], {'classes.json': text})[:2] == (['low', 'high'], numbers)


COLUMNS = {
    'id,name,r,g,b': '{n},{name},{r},{g},{b}',
    '': '{n},{name},{r},{g},{b}',
    ',Name,Red,Green,Blue': '{n},{name},{r},{g},{b}',
    'name,id,r,g,b': '{name},{n},{r},{g},{b}',
    'id,r,g,b,name': '{n},{r},{g},{b},{name}',
    'name,b,g,r': '{name},{b},{g},{r}',
    'name,r,g,b,a': '{name},{r},{g},{b},255',
    'r,g,b,name': '{r},{g},{b},{name}',
    'class ': '{name},{r},{g},{b},',
}


@pytest.mark.parametrize('delimiter', [',', ';', '\t'])
@pytest.mark.parametrize('header', COLUMNS)
def test_a_table_has_its_columns_in_any_order(read, header, delimiter):
    """Read as the first three numbers, an id and a colour are another colour."""
    colours = dict(tree=(1, 0, 0), road=(2, 255, 0), roof=(0, 0, 255), ground=(0, 0, 0))
    rows = [
        COLUMNS[header].format(n=n, name=name, r=r, g=g, b=b) for n, (name, (r, g, b)) in enumerate(colours.items())
    ]
    text = '\n'.join(filter(None, [header, *rows])).replace(',', delimiter)
    shown = read([(0, 0, 0), (0, 0, 255), (2, 255, 0), (1, 0, 0)], {'class_dict.csv': text}, 'RGB')
    assert shown[:2] == (list(colours), [3, 2, 1, 0])


def test_ids_of_a_table_with_colours_count_in_masks_of_numbers(read):
    beside = {'class_dict.csv': 'id,name,r,g,b\n7,road,255,0,0\n3,tree,0,255,0\n'}
    assert read([3, 7, 255], beside)[:2] == (['road', 'tree'], [1, 0, 255])
    assert read([0, 255], {'class_dict.csv': 'id,name,r,g,b\n0,road,255,0,0\n1,ground,0,0,0\n'})[1] == [1, 0]


def test_a_class_may_be_called_by_a_number_or_hold_a_comma(read):
    assert read([0, 1], {'class_dict.csv': 'name,r,g,b\n7,1,1,1\n8,0,0,0\n'})[:2] == (['7', '8'], [1, 0])
    assert read([0, 1], {'class_dict.csv': 'name,r,g,b\n"a, b",1,1,1\nc,0,0,0\n'})[:2] == (['a, b', 'c'], [1, 0])


@pytest.mark.parametrize(
    'name, text, said',
    [
        ('class_dict.csv', 'name,r,g,b\n', 'holds no class. Write a row for each'),
        ('class_dict.csv', 'name,r,g,b\nroof,1,2,3\nroad,1,2,3\n', r'gives \(1, 2, 3\) to two rows. Correct it'),
        ('class_dict.csv', 'id,name,r,g,b\n7,roof,1,2,3\n7,road,3,2,1\n', 'gives 7 to two rows. Correct it'),
        ('labelmap.txt', 'roof:1,2,3::\nroad:1,2,3::\n', r'gives \(1, 2, 3\) to two rows'),
        ('class_dict.csv', 'name|r|g|b\nroof|0|0|0\n', r'has the row roof\|0\|0\|0; expected name,r,g,b or value,name'),
        ('class_dict.csv', 'name,r,g,b\nroof,,,\n', 'has the row roof; expected name,r,g,b'),
        ('classes.csv', 'roof 0 0 0\nroad 1 1 1\n', 'has the row road 1 1 1; expected name,r,g,b'),
        ('classes.csv', '1\n2\n', 'has the row 1; expected name,r,g,b'),
        ('class_dict.csv', 'roof,1,2,3,4\n', 'has the row roof,1,2,3,4; expected name,r,g,b'),
        ('class_dict.csv', 'name,r,g,b\nDächer,0,0,0'.encode('latin-1'), 'is no text in UTF-8 or UTF-16 .*Save it as'),
        ('classes.txt', 'Dächer'.encode('latin-1'), 'is no text in UTF-8 or UTF-16'),
        ('classes.txt', '', 'holds no class'),
        ('classes.json', '["a"', 'is not valid JSON: .*Correct it'),
        (
            'classes.json',
            '[{"name": "a", "color": [0, 0, 0]}]',
            'has the entry .*expected a list of names, or an object',
        ),
        ('classes.json', '{"classes": [{"name": "a"}]}', 'has the entry .*classes.*expected a list of names'),
    ],
)
def test_a_table_that_cannot_be_read_is_named(read, name, text, said):
    with pytest.raises(ValueError, match=f'/{name} {said}'):
        read([0, 1], {name: text})


def test_a_table_in_utf_16(read):
    assert read([0, 1], {'classes.txt': 'a\nä\n'.encode('utf-16')})[0] == ['a', 'ä']


def test_a_value_of_255_that_a_table_names_is_a_class(read):
    assert read([0, 128, 255], {'classes.csv': '0,low\n128,middle\n255,high\n'})[1] == [0, 1, 2]


def test_a_first_class_that_never_occurs_is_asked_about(read):
    classes, numbers, note = read([1, 2], {'classes.txt': 'ground\nroad\nroof\n'})
    assert numbers == [1, 2] and 'no mask has pixels of value 0, which is ground' in note
    assert not read([0, 2], {'classes.txt': 'ground\nroad\nroof\n'})[2]


def test_black_and_white_with_loss(read):
    classes, numbers, _ = read([0, 255, 0], ending='jpg')
    assert classes == ['background', 'foreground'] and numbers == [0, 1, 0]
    with pytest.raises(ValueError, match='compressed with loss, such as .*mask.jpg, so their values are no class'):
        read([0, 128, 255], ending='jpg')


@pytest.mark.parametrize('beside', [{}, {'classes.txt': 'a\nb\nc\nd\n'}])
def test_class_numbers_with_loss_are_refused_and_without_are_read(read, beside):
    with pytest.raises(ValueError, match='compressed with loss'):
        read([0, 1, 2, 3], beside, ending='jpg')
    assert read([0, 1, 2, 3], beside, ending='webp', lossless=True)[1] == [0, 1, 2, 3]
    with pytest.raises(ValueError, match='compressed with loss'):
        read([0, 255, 0], {'classes.txt': 'a\nb\nc\n'}, ending='jpg')


@pytest.mark.parametrize('kind', [np.float64, np.int64])
def test_class_numbers_in_64_bits(kind, tmp_path):
    cv2.imwrite(str(tmp_path / 'mask.tif'), np.array([[0, 1, 2, 255]], kind))
    reader = MaskReader(tmp_path, [tmp_path / 'mask.tif'], Notes())
    assert reader.classes == ['class 0', 'class 1', 'class 2']
    assert reader.read(tmp_path / 'mask.tif').tolist() == [[0, 1, 2, 255]]


def test_what_is_no_image_is_named(tmp_path):
    (tmp_path / 'mask.png').write_text('no image')
    with pytest.raises(ValueError, match='The mask .*mask.png is not a whole image of a known format'):
        MaskReader(tmp_path, [tmp_path / 'mask.png'], Notes())


def test_masks_beyond_the_limit_of_pil_are_read(read, monkeypatch):
    """It takes images of more than 179 million pixels for an attack."""
    monkeypatch.setattr(Image, 'MAX_IMAGE_PIXELS', 100)
    for mode in ('L', 'RGB', 'P'):
        for ending in ('png', 'tif'):
            assert read([0, 255], mode=mode, ending=ending, palette=[(255, WHITE)])[1] == [0, 1]
        with monkeypatch.context() as limited, pytest.raises(ValueError, match='mask.png states 80×40 pixels'):
            limited.setenv('MMEST_MAX_PIXELS', '100')
            read([0, 255], mode=mode, palette=[(255, WHITE)])


def test_one_mask_with_loss_does_not_change_the_others(tmp_path):
    picture(tmp_path / 'one.jpg')
    Image.fromarray(np.array([[0, 1, 2, 3]], np.uint8)).save(tmp_path / 'two.png')
    with pytest.raises(ValueError, match='compressed with loss, such as .*one.jpg'):
        MaskReader(tmp_path, [tmp_path / 'one.jpg', tmp_path / 'two.png'], Notes())


def picture(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((8, 8), value, np.uint8)).save(path)


def test_an_image_whose_own_name_ends_like_a_mask_keeps_its_mask(tmp_path):
    for name, value in (('plot', 0), ('plot_m', 1), ('plot_seg', 2)):
        picture(tmp_path / 'images' / f'{name}.png')
        picture(tmp_path / 'masks' / f'{name}.png', value)
    data = masks.read(tmp_path)
    assert {sample.image.stem: sample.mask.stem for sample in data.samples} == {
        name: name for name in ('plot', 'plot_m', 'plot_seg')
    }


def test_a_name_without_a_mark_goes_first_and_a_mark_is_enough(tmp_path):
    for name in ('one', 'two'):
        picture(tmp_path / 'images' / f'{name}.png')
        picture(tmp_path / 'masks' / f'{name}_mask.png')
    picture(tmp_path / 'masks' / 'one.png')
    found = {sample.image.stem: sample.mask.stem for sample in masks.read(tmp_path).samples}
    assert found == dict(one='one', two='two_mask')


def test_of_two_masks_the_plainly_named_folder_counts_and_is_said(tmp_path):
    picture(tmp_path / 'images' / 'one.png')
    picture(tmp_path / 'label_rgb' / 'one.png')
    picture(tmp_path / 'label' / 'one.png')
    data = masks.read(tmp_path)
    assert data.samples[0].mask == tmp_path / 'label' / 'one.png'
    assert any('label/one.png before label_rgb/one.png' in line for line in data.notes.lines())
    picture(tmp_path / 'annotations' / 'one.png')
    with pytest.raises(ValueError, match='two masks of one image: annotations/one.png and label/one.png'):
        masks.read(tmp_path)


@pytest.mark.parametrize(
    'values, refused',
    [
        ([(255, 255, 255, 0), (255, 255, 255, 255)], r'\(255, 255, 255\) .*alpha 0 to 255'),
        ([(255, 255, 255, 1), (255, 255, 255, 2)], r'\(255, 255, 255\) .*alpha 1 to 2'),
        ([(255, 255), (255, 0)], r'\(255, 255, 255\) .*alpha 0 to 255'),
        ([(0, 0, 0, 255), (255, 0, 0, 255), (255, 0, 0, 0)], r'\(255, 0, 0\) .*alpha 0 to 255'),
        ([(0, 0, 0, 0), (255, 0, 0, 255), (255, 0, 0, 90)], None),
        ([(0, 0, 0, 0), (255, 255, 255, 255)], None),
        ([(0, 0, 0, 255), (255, 0, 0, 255)], None),
        ([(0, 255), (255, 255)], None),
    ],
)
@pytest.mark.parametrize('ending', ['png', 'tif'])
def test_classes_that_are_in_the_transparency_are_refused(values, refused, ending, tmp_path):
    pixels = np.array([values], np.uint8)
    Image.fromarray(pixels).save(tmp_path / f'mask.{ending}')
    if refused:
        with pytest.raises(ValueError, match=f'mask.{ending} has the colour {refused}.* Flatten it onto a background'):
            MaskReader(tmp_path, [tmp_path / f'mask.{ending}'], Notes())
    else:
        assert len(MaskReader(tmp_path, [tmp_path / f'mask.{ending}'], Notes()).classes) == 2


NODATA = 42113  # the tag of GDAL


@pytest.mark.parametrize(
    'values, nodata, beside, numbers',
    [
        ([0, 1, 2, 255], '255', {}, [0, 1, 2, 255]),
        ([0, 1, 2, 99], '99', {}, [0, 1, 2, 255]),
        ([0, 1, 2, 99], '99', {'classes.txt': 'a\nb\nc\n'}, [0, 1, 2, 255]),
        ([0, 1, 255], '255', {'classes.txt': 'building\n'}, [0, 1, 255]),
        ([0, 1, 255], '0', {}, [0, 1, 255]),
        ([0, 255], '0', {}, [0, 1]),
        ([0, 255], '-9999', {}, [0, 1]),
        ([0, 255], '99', {}, [0, 1]),
        ([0, 255], 'nan', {}, [0, 1]),
        ([0, 255], '255', {'classes.csv': '0,low\n255,high\n'}, [0, 1]),
        ([0, 255], '255', table(road=WHITE, ground=BLACK), [1, 0]),
        ([0, 99, 200], '99', {'classes.csv': '0,low\n99,middle\n200,high\n'}, [0, 1, 2]),
    ],
)
def test_the_nodata_value_that_a_mask_declares_is_ignored(read, values, nodata, beside, numbers):
    assert read(values, beside, ending='tif', tiffinfo={NODATA: nodata})[1] == numbers


@pytest.mark.parametrize('values, nodata', [([0, 255], 255), ([255], 255), ([0, 99], 99)])
@pytest.mark.parametrize('beside', [{}, {'classes.txt': 'building\n'}, {'classes.txt': 'ground\nbuilding\n'}])
def test_one_value_beside_nodata_is_no_pair_of_classes(read, values, nodata, beside):
    with pytest.raises(ValueError, match='no pixels but those of value 0 and of the nodata value that .*mask.tif'):
        read(values, beside, ending='tif', tiffinfo={NODATA: str(nodata)})


def test_several_classes_that_are_not_to_be_learned_may_share_255(read):
    table = {'classes.csv': 'name,value\nroof,0\nroad,1\nvoid,255\nborder,255\n'}
    assert read([0, 1], table)[1] == [0, 1]


@pytest.mark.parametrize('colours', [((0, 0, 0), (9, 99, 200)), ((0, 0, 0), (7, 7, 7))])
def test_a_large_mask_takes_some_bytes_a_pixel(colours, tmp_path):
    """It took 8 bytes for each of its three channels, and more for what was made of them."""
    side = 3000
    pixels = np.array(colours, np.uint8)[np.arange(side * side).reshape(side, side) % 2]
    Image.fromarray(pixels).save(tmp_path / 'mask.png')
    tracemalloc.start()
    try:
        reader = MaskReader(tmp_path, [tmp_path / 'mask.png'], Notes())
        numbers = reader.read(tmp_path / 'mask.png')
        assert tracemalloc.get_traced_memory()[1] < 16 * side * side
    finally:
        tracemalloc.stop()
    assert numbers.dtype == np.uint8 and numbers[5, :4].tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize('count', [255, 256])
def test_a_table_with_more_classes_than_masks_can_hold(count, read):
    rows = '\n'.join(f'class {number},{number},0,1' for number in range(count))
    if count == 255:
        assert len(read([(0, 0, 1), (254, 0, 1)], {'class_dict.csv': f'name,r,g,b\n{rows}'}, 'RGB')[0]) == 255
    else:
        with pytest.raises(ValueError, match='The table of classes below .* has 256, but masks can hold 255'):
            read([(0, 0, 1), (254, 0, 1)], {'class_dict.csv': f'name,r,g,b\n{rows}'}, 'RGB')
