"""Where a result cannot go is said before hours of work, not after."""

import errno
import os
import resource

import pytest

from mmest.files import beside, may_be_in, write_bytes

FILES = [
    ('test', ['c.py', 'm.pth'], '--out'),
    ('report', ['work'], '--out'),
    ('export', ['m.pth'], '--out'),
    ('memory', ['c.py'], '--out'),
    ('time', ['c.py'], '--out'),
    ('plan', ['c.py', '--budget', '8GiB'], '--out'),
]
FOLDERS = [
    ('test', ['c.py', 'm.pth'], '--submission'),
    ('test', ['c.py', 'm.pth'], '--show-dir'),
    ('test', ['c.py', 'm.pth'], '--work-dir'),
    ('train', ['c.py'], '--work-dir'),
    ('train', ['c.py'], '--cache-features'),
    ('choose', ['c.py'], '--work-dir'),
    ('memory', ['c.py'], '--pictures'),
    ('benchmark', ['grid.py'], '--out'),
    ('backbones', [], '--out'),
    ('tables', ['results'], '--out'),
]


@pytest.mark.parametrize('name, arguments, option', FILES)
def test_a_file_that_cannot_be_written(mmest, capsys, tmp_path, name, arguments, option):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'gone').symlink_to(tmp_path / 'nowhere')
    for place, sentence in (
        (tmp_path, f'{tmp_path} is a folder; name a file to write'),
        ('/dev/null', '/dev/null is a device; name a file to write'),
        (tmp_path / 'file/a/b.json', f'{tmp_path}/file is a file, and no folder'),
        (tmp_path / 'gone/b.json', f'{tmp_path}/gone is a link to {tmp_path}/nowhere, which is not there'),
    ):
        assert mmest(name, *arguments, option, place) == 2
        assert f'argument {option}: {sentence}' in capsys.readouterr().err


@pytest.mark.parametrize('name, arguments, option', FOLDERS)
def test_a_folder_that_cannot_be_written_to(mmest, capsys, monkeypatch, tmp_path, name, arguments, option):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'gone').symlink_to(tmp_path / 'nowhere')
    for place, sentence in (
        ('file', f'{tmp_path}/file is a file, and no folder'),
        ('file/a', f'{tmp_path}/file is a file, and no folder'),
        ('gone', f'{tmp_path}/gone is a link to {tmp_path}/nowhere, which is not there'),
    ):
        assert mmest(name, *arguments, option, tmp_path / place) == 2
        assert f'argument {option}: {sentence}' in capsys.readouterr().err
    monkeypatch.setattr(os, 'access', lambda place, mode: str(place) != str(tmp_path))  # of root all is writable
    assert mmest(name, *arguments, option, tmp_path / 'a/b') == 2
    assert f'argument {option}: nothing can be written to {tmp_path}' in capsys.readouterr().err


@pytest.mark.parametrize(
    'arguments, file',
    [
        (['export', 'm.pth'], 'm_whole.pth'),
        (['export', 'm.pth', '--onnx'], 'm.onnx'),
        (['report', '.'], 'report.html'),
    ],
)
def test_where_nothing_was_named(mmest, monkeypatch, tmp_path, arguments, file):
    """The place of what was read is where a result goes; it is looked at as one that was named is."""
    name, place, *more = arguments
    monkeypatch.setattr('mmest.cli.report.read_run', lambda folder: None)
    (tmp_path / file).mkdir()
    assert mmest(name, tmp_path / place, *more) == (
        f'{name}: {tmp_path / file} is a folder; name a file to write. Name another place by --out.'
    )
    (tmp_path / file).rmdir()
    monkeypatch.setattr(os, 'access', lambda place, mode: str(place) != str(tmp_path))  # of root all is writable
    assert mmest(name, tmp_path / place, *more) == (
        f'{name}: nothing can be written to {tmp_path}. Name another place by --out.'
    )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('number', [errno.ENOSPC, errno.EFBIG, errno.EACCES, errno.ENOTDIR, errno.EEXIST])
def test_what_fails_all_the_same_is_a_sentence(mmest, monkeypatch, tmp_path, number):
    def write(*_, **__):
        raise OSError(number, os.strerror(number), str(tmp_path / 'x.png'))

    monkeypatch.setattr('mmest.cli.data.look.read', write)
    said = mmest('data', 'look', tmp_path)
    assert said == f'data look: {tmp_path}/x.png cannot be read or written: {os.strerror(number)}.'


def test_of_a_copy_the_file_that_was_to_be_written_is_named(mmest, monkeypatch, tmp_path):
    def copy(*_, **__):
        raise OSError(errno.ENOSPC, 'No space left on device', 'from.png', None, str(beside(tmp_path / 'to.png')))

    monkeypatch.setattr('mmest.cli.data.look.read', copy)
    assert (
        mmest('data', 'look', tmp_path)
        == f'data look: {tmp_path}/to.png cannot be read or written: No space left on device.'
    )


@pytest.mark.parametrize('durable', [False, True])
def test_a_file_that_finds_no_room_is_named(tmp_path, durable):
    """What a full disk does, the limit on the size of files does here; systems name no file then."""
    file, limits = tmp_path / 'a/b.bin', resource.getrlimit(resource.RLIMIT_FSIZE)
    write_bytes(file, b'earlier', durable=durable)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=f"File too large: '{file}'") as found:
            write_bytes(file, bytes(900), bytes(200), durable=durable)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert may_be_in(found.value, tmp_path) and not may_be_in(found.value, tmp_path / 'c')
    assert file.read_bytes() == b'earlier' and list(file.parent.iterdir()) == [file]


def test_an_error_of_a_device_keeps_its_traceback(mmest, monkeypatch, tmp_path):
    def read(*_, **__):
        raise OSError(errno.EIO, 'Input/output error')

    monkeypatch.setattr('mmest.cli.data.look.read', read)
    with pytest.raises(OSError, match='Input/output error'):
        mmest('data', 'look', tmp_path)


def test_a_grid_tells_a_file_of_elsewhere_by_its_name(mmest, monkeypatch, tmp_path):
    def read(*_, **__):
        raise PermissionError(errno.EACCES, 'Permission denied', '/elsewhere/x.png')

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr('mmest.cli.benchmark.run_grid', read)
    grid = tmp_path / 'grid.py'
    grid.write_text("memory = [dict(configs=['demo/fpn_swin_est'], sizes=[(64, 64)], tunings=['frozen'])]")
    said = mmest('benchmark', grid, '--out', tmp_path / 'out')
    assert said == 'benchmark: /elsewhere/x.png cannot be read or written: Permission denied.'
