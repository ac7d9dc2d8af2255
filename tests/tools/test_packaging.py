"""What is built from the repository: source distributions, editable installs."""

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def build(kind: str, folder: Path) -> Path:
    """What setuptools builds in a folder."""
    code = f'from setuptools import build_meta; build_meta.build_{kind}("dist")'
    subprocess.run([sys.executable, '-c', code], cwd=folder, check=True, capture_output=True)
    (built,) = (folder / 'dist').iterdir()
    return built


@pytest.fixture
def tree(tmp_path):
    """All that the build reads of the repository, with one module."""
    for name in (
        'setup.py',
        'pyproject.toml',
        'mmest_command.py',
        'mmest/__init__.py',
        'mmest/version.py',
        'tools/train.py',
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    (tmp_path / 'configs').mkdir()
    return tmp_path


def test_mim_finds_an_editable_install(tree):
    """It joins to site-packages what the first line of top_level.txt says."""
    with zipfile.ZipFile(build('editable', tree)) as content:
        (name,) = (name for name in content.namelist() if name.endswith('top_level.txt'))
        first, *rest = content.read(name).decode().splitlines()
    assert Path(os.path.join('site-packages', first), '.mim', 'tools', 'train.py').is_file()
    assert rest == ['mmest', 'mmest_command'], 'what other readers of this file look for'


@pytest.mark.skipif(not (ROOT / '.git').exists(), reason='an sdist does not know what the repository tracks')
def test_an_sdist_has_all_but_what_the_host_reads(tmp_path):
    listed = subprocess.run(
        ['git', 'ls-files', '--cached', '--others', '--exclude-standard'],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    tracked = {name for name in listed if not name.startswith('.') and (ROOT / name).is_file()}
    for name in tracked:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    with tarfile.open(build('sdist', tmp_path)) as content:
        held = {name.partition('/')[2] for name in content.getnames()}
    assert not tracked - held
