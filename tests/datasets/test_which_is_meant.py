"""Several files of one name in a download: those of the publisher's folders are taken, and doubt is said."""

import shutil

import official_trees as trees
import pytest

from mmest.datasets.preparation.command import prepare
from mmest.datasets.preparation.registry import module_of

VAIHINGEN = 'ISPRS_semantic_labeling_Vaihingen'


def run(name, source, out) -> str:
    """The problems, after a preparation."""
    prepare(module_of(name), source, out, 1)
    path = out / 'problems.txt'
    return path.read_text() if path.is_file() else ''


def patches(out) -> dict:
    return {path.name: path.read_bytes() for path in (out / 'img_dir').rglob('*.png')}


@pytest.mark.parametrize(
    'folder', [f'{VAIHINGEN}/gts_for_participants', f'{VAIHINGEN}_ground_truth_COMPLETE', 'a', 'z']
)
@pytest.mark.parametrize('zipped', [False, True])
def test_labels_of_vaihingen_that_have_the_names_of_pictures(tmp_path, folder, zipped):
    trees.vaihingen(tmp_path / 'source')
    run('vaihingen', tmp_path / 'source', tmp_path / 'right')
    labels = tmp_path / 'source' / folder
    for area in ('area1', 'area2'):
        trees.colours(labels / f'top_mosaic_09cm_{area}.tif', 530, 600, trees.ISPRS_COLOURS[1:])
    if zipped:
        trees.zip_folder(labels, labels.with_name(f'{labels.name}.zip'))
    run('vaihingen', tmp_path / 'source', tmp_path / 'out')
    assert patches(tmp_path / 'out') == patches(tmp_path / 'right')
    (tmp_path / 'source' / VAIHINGEN / 'top/top_mosaic_09cm_area2.tif').unlink()
    assert 'tile area2: its picture is missing' in run('vaihingen', tmp_path / 'source', tmp_path / 'out')
    assert {name[:5] for name in patches(tmp_path / 'out')} == {'area1'}
    shutil.rmtree(tmp_path / 'source' / VAIHINGEN / 'top')
    with pytest.raises(ValueError, match='No tile with its label'):
        run('vaihingen', tmp_path / 'source', tmp_path / 'new')


def test_tiles_of_potsdam_beside_other_files_of_their_names(tmp_path):
    source = tmp_path / 'source'
    trees.potsdam(source)
    right = run('potsdam', source, tmp_path / 'right')
    # The labels for participants are copies; quick looks lie in a folder of the user's.
    shutil.copytree(source / '5_Labels_all_noBoundary', source / '5_Labels_for_participants_no_Boundary')
    trees.picture(source / 'vis/top_potsdam_2_10_RGB.tif', 60, 70)
    assert run('potsdam', source, tmp_path / 'out') == right
    assert patches(tmp_path / 'out') == patches(tmp_path / 'right')
    (source / '2_Ortho_RGB').rename(source / 'mine')
    problems = run('potsdam', source, tmp_path / 'out')
    assert (
        'mine/top_potsdam_2_10_RGB.tif: differs from ' in problems and 'vis/top_potsdam_2_10_RGB.tif, and' in problems
    )
    assert 'tile 2_10' not in problems and {name[:4] for name in patches(tmp_path / 'out')} == {'2_13'}
