"""What export refuses before it reads anything."""

import pytest

from mmest.engine.export import export


def test_a_folder_is_no_file_to_write(tmp_path):
    with pytest.raises(ValueError, match=r'is a folder; name the file to write, such as .*model\.pth'):
        export(tmp_path / 'delta.pth', tmp_path)
