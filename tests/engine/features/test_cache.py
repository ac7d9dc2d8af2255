"""What comes from the cache is what the backbone gives, in bfloat16's precision."""

import copy
import shutil

import numpy as np
import pytest
import torch
from mmengine.registry import TRANSFORMS
from toy import BACKBONES, METHODS, SIDE, build, image

from mmest.engine.features.cache import FeatureCache, Layout, key_of
from mmest.engine.features.store import FeatureStore
from mmest.engine.features.views import FixedViews, use_views


def cached(tuned, folder, x):
    layout = Layout(*tuned.read(x))
    store = FeatureStore(folder, layout.describe(), 8, 2 * layout.numbers)
    tuned.cache = FeatureCache(store, layout, tuple(x.shape[-2:]))
    return tuned.cache


def rounded(x):
    return x.to(torch.bfloat16).to(x.dtype)


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('method', [*SIDE, 'frozen'])
def test_first_pass_and_later_ones_give_the_same(name, method, tmp_path):
    tuned = build(name, METHODS[method]).train()
    if not tuned.method.reads_taps_alone:
        pytest.skip('it is refused')
    for p in tuned.method.parameters():
        p.data.add_(0.1 * torch.rand_like(p))
    x = image()
    plain = tuned(x)
    alone = [tuned.read(one) for one in x.split(1)]
    features = [rounded(torch.cat(maps)) for maps in zip(*(features for features, _ in alone))]
    taps = [
        tap[0]._replace(feature=rounded(torch.cat([t.feature for t in tap]))) for tap in zip(*(t for _, t in alone))
    ]
    expected = tuned.method(features, taps, x)
    seen = copy.deepcopy(tuned.method.state_dict())  # a norm of taps gives an image alone by what it has seen
    of_second = tuned.method([f[1:] for f in features], [t._replace(feature=t.feature[1:]) for t in taps], x[1:])
    cache = cached(tuned, tmp_path, x)
    first = tuned(x)
    assert (cache.computed, cache.found) == (2, 0)
    tuned.backbone.forward = None  # it must not run
    again = tuned(x)
    tuned.method.load_state_dict(seen)
    second = tuned(x[1:])
    assert (cache.computed, cache.found) == (2, 3)
    for k, output in enumerate(first):
        assert torch.equal(output, expected[k]) and torch.equal(output, again[k])
        assert output.dtype == plain[k].dtype
        torch.testing.assert_close(output, plain[k], rtol=0.05, atol=0.05 * float(plain[k].abs().max()))
        torch.testing.assert_close(second[k], of_second[k], rtol=1e-4, atol=1e-5)


def test_only_what_is_missing_is_computed_and_evaluation_stays_exact(tmp_path):
    tuned = build('swin', METHODS['est']).train()
    x = image(batch=4)
    cache, seen = cached(tuned, tmp_path, x), []
    tuned.backbone.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    whole = tuned(x[:1])[0], tuned(x[1:3])[0], tuned(x)[0]
    assert seen == [1] * 4 and (cache.computed, cache.found) == (4, 3)
    torch.testing.assert_close(whole[2][:3], torch.cat(whole[:2]))
    tuned.eval()
    tuned(x)
    assert seen == [1] * 4 + [4], 'only training takes rounded maps'


def test_images_of_another_size_are_computed_each_time(tmp_path):
    tuned = build('swin', METHODS['est']).train()
    cache = cached(tuned, tmp_path, image())
    other = image(96, 64)
    tuned(other), tuned(other)
    assert (cache.computed, cache.found, len(cache.store)) == (0, 0, 0)


def test_a_full_disk_ends_the_keeping_and_not_the_training(tmp_path, monkeypatch):
    tuned = build('swin', METHODS['est']).train()
    x = image()
    cache = cached(tuned, tmp_path, x)

    def full(*_):
        raise OSError(28, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr('os.pwrite', full)
        first = tuned(x)[0]
    assert len(cache.store) == 0 and torch.equal(tuned(x)[0], first)
    assert len(FeatureStore(tmp_path, cache.layout.describe(), 8, 2 * cache.layout.numbers)) == 0


def test_a_cache_that_is_removed_in_use_does_not_end_the_training(tmp_path):
    tuned = build('swin', METHODS['est']).train()
    x = image()
    cache = cached(tuned, tmp_path / 'cache', x)
    before = tuned(x[:1])[0]
    shutil.rmtree(tmp_path / 'cache')
    tuned(x)
    assert torch.equal(tuned(x[:1])[0], before) and (cache.computed, cache.found) == (2, 2)


def test_pictures_that_were_exchanged_take_the_place_of_those_of_before(tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr('mmest.engine.features.cache.print_log', lambda text, **_: said.append(text))
    tuned = build('swin', METHODS['est']).train()
    x = image(batch=8)
    cached(tuned, tmp_path, x)
    tuned(x)
    tuned.cache.store.close()
    cache, others = cached(tuned, tmp_path, x), 1 - x
    tuned(others)
    assert (cache.computed, cache.found) == (8, 0)
    tuned(others)
    assert (cache.computed, cache.found) == (8, 8)
    assert len(said) == 1 and 'full of other images than come now: pictures have changed' in said[0]


def test_keys_tell_type_shape_and_every_bit():
    x = torch.rand(3, 8, 8)
    other = x.clone()
    other[2, 7, 7] += 1e-6
    assert key_of(x) == key_of(x.clone())
    assert len({key_of(x), key_of(other), key_of(x.reshape(3, 4, 16)), key_of(x.view(torch.int32))}) == 4


@TRANSFORMS.register_module(force=True)
class Noise:
    """Draws from all three generators."""

    def __call__(self, results):
        import random

        return (results['sample_idx'], random.random(), np.random.rand(), torch.rand(()).item())


def test_views_are_few_and_the_same_for_every_training():
    def drawn(seed, count):
        np.random.seed(seed)
        views = FixedViews(3, [dict(type='Noise')])
        return [views(dict(sample_idx=i)) for i in range(2) for _ in range(count)]

    some, others = drawn(0, 60), drawn(1, 60)
    assert some != others and set(some) == set(others) and len(set(some)) == 2 * 3
    before = torch.get_rng_state()
    drawn(2, 5)
    assert torch.equal(torch.get_rng_state(), before), 'the training draws as without'


def test_every_pipeline_of_a_data_set_gives_views():
    inner = dict(type='A', pipeline=[dict(type='Noise')])
    loader = dict(dataset=dict(type='ConcatDataset', datasets=[inner, dict(inner)]), sampler=dict(type='S'))
    use_views(loader, 2)
    wrapped = [dict(type='FixedViews', views=2, transforms=[dict(type='Noise')])]
    assert [part['pipeline'] for part in loader['dataset']['datasets']] == [wrapped, wrapped]
    with pytest.raises(ValueError, match='MultiImageMixDataset mixes several into one'):
        use_views(dict(dataset=dict(type='mmdet.MultiImageMixDataset', dataset=inner, pipeline=[])), 2)
