import functools
import gc
import os
import sys
import tempfile
import warnings
from pathlib import Path
from types import SimpleNamespace

os.environ.setdefault('OMP_NUM_THREADS', '1')
# Nothing is remembered from one run of the tests to the next, and nothing is left in the user's cache.
_CACHE = tempfile.TemporaryDirectory(prefix='mmest_cache_')
os.environ['MMEST_CACHE'] = _CACHE.name
sys.path.insert(0, str(Path(__file__).parent))
warnings.filterwarnings('ignore', message='pkg_resources is deprecated')

import mmengine.config.config  # noqa: E402
import mmengine.config.utils  # noqa: E402
import mmengine.runner.loops  # noqa: E402
import mmengine.runner.runner  # noqa: E402
import processes  # noqa: E402, F401 -- before any is started
import pytest  # noqa: E402
import torch  # noqa: E402
from mmengine.registry import init_default_scope  # noqa: E402

from mmest.measure.planner import meta_backbone, planner  # noqa: E402
from mmest.measure.planner.remembered import RememberedResults  # noqa: E402

torch.set_num_threads(1)
# For each config that inherits from mmdet or mmseg, mmengine reads all hundred of their metafiles and loads
# pkg_resources anew: nine tenths of the time of reading it.
mmengine.config.utils.load = functools.cache(mmengine.config.utils.load)
mmengine.config.config.is_installed = functools.cache(mmengine.config.config.is_installed)
# Each Runner has its config laid out anew five times by yapf, which takes seconds for a detector's and changes spaces
# alone, and asks the compilers for their versions.
mmengine.config.config.FormatCode = lambda text, **style: (f'{text}\n', True)
mmengine.runner.runner.collect_env = functools.cache(mmengine.runner.runner.collect_env)
# A training by iterations waits two seconds before each epoch but the first, for workers that toys do not have.
mmengine.runner.loops.time = SimpleNamespace(sleep=lambda seconds: None)
# What an operator without data gives depends on its arguments alone: all plans, and the header of every training, share
# what was found, for it takes most of their time to find.
meta_backbone.RememberedResults = planner.RememberedResults = functools.cache(RememberedResults)


def pytest_collection_finish():
    """What is imported stays: the collections before each measured step need not look at it."""
    import toy  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def isolated():
    """Each test starts from the same seed and leaves none of mmengine's global instances behind."""
    import toy

    torch.manual_seed(0)
    init_default_scope('mmdet')
    yield
    toy.forget_instances()


@pytest.fixture(scope='session')
def weights(tmp_path_factory):
    """A pretrained file for each tiny backbone: path by name."""
    import toy

    return {name: toy.write_weights(name, tmp_path_factory.mktemp('weights')) for name in toy.BACKBONES}


@pytest.fixture
def empty_init(monkeypatch):
    """Values are left as they come: filling large tensors with random numbers would take most of the time."""
    names = 'uniform_ normal_ kaiming_uniform_ kaiming_normal_ trunc_normal_ constant_ xavier_uniform_ ones_ zeros_'
    for name in names.split():
        monkeypatch.setattr(torch.nn.init, name, lambda tensor, *args, **kwargs: tensor)
