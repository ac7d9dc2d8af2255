"""Transforms of a model are found at inference wherever they are registered, after another framework's model too."""

import pytest
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import TRANSFORMS, DefaultScope

from mmest.frameworks import name_scope_of_transforms


class Doubled:
    """A transform as users write them, where mmengine's documentation has them registered."""

    def __call__(self, results: dict) -> dict:
        return dict(results, number=2 * results['number'])


@pytest.fixture
def registered():
    TRANSFORMS.register_module(module=Doubled)
    yield
    del TRANSFORMS._module_dict['Doubled']


@pytest.mark.parametrize('scope, other', [('mmseg', 'mmdet'), ('mmdet', 'mmseg')])
def test_one_of_the_users_is_found_in_every_scope(registered, scope, other):
    for name in (scope, other):
        pytest.importorskip(f'{name}.datasets')
    pipeline = [dict(type='Doubled'), dict(type='Resize', scale=(8, 8), keep_ratio=True), dict(type='Unknown')]
    cfg = Config(dict(test_pipeline=pipeline))
    name_scope_of_transforms(cfg, scope)
    names = [step.type for step in cfg.test_pipeline]
    assert names == ['mmengine.Doubled', f'{scope}.Resize', f'{scope}.Unknown']  # the last is refused by this name
    for default in (scope, other):
        with DefaultScope.overwrite_default_scope(default):
            double, resize = Compose(cfg.test_pipeline[:2]).transforms
        assert double(dict(number=3))['number'] == 6 and type(resize).__module__.startswith(scope)
