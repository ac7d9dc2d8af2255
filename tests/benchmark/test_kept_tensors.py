"""What trials and trainings side by side keep between calls, on a disk without room for it."""

import resource

import pytest
import torch

from mmest.benchmark.together import batches
from mmest.benchmark.trials import cache


@pytest.mark.parametrize(
    'module, made, name, keep',
    [
        (batches, '_make', 'key_of', lambda folder: batches.batches_of({}, folder)),
        (cache, '_compute', 'digest', lambda folder: cache.cached_views({}, 1, folder)),
    ],
)
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch, module, made, name, keep):
    """The limit on the size of files does here what a full disk does."""
    monkeypatch.setattr(module, made, lambda *_: dict(x=torch.rand(10_000)))
    monkeypatch.setattr(module, name, lambda *_: 'key')
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, limits[1]))
    try:
        with pytest.raises(OSError, match=f"File too large: '{tmp_path}/key"):
            keep(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not [path for path in tmp_path.iterdir() if path.suffix != '.lock']
