"""Weights of a backbone are found wherever in a file they are, and never those of another."""

import pytest
import torch
from toy import METHODS, build


def under(prefix, state):
    return {f'{prefix}{name}': value for name, value in state.items()}


def other(state):
    """Of equal names and shapes, with other values."""
    return {name: value + 1 for name, value in state.items()}


def loaded(tmp_path, kind, content, **named):
    torch.save(content, tmp_path / 'x.pth')
    tuned = build(kind, METHODS['est'], tmp_path / 'x.pth')
    tuned.backbone.init_cfg.update(named)
    tuned.init_weights()
    return tuned


def arrived(tuned, state):
    return all(torch.equal(value, tuned.backbone.state_dict()[name]) for name, value in state.items())


PREFIXES = [
    '_orig_mod.',
    'module._orig_mod.',
    '_orig_mod.module.',
    'backbone._orig_mod.',
    'module.backbone._orig_mod.',
    'model.backbone.',
    'model.model.',
    'encoder_q.',
    'module.base_encoder.',
    'teacher.backbone.',
]


@pytest.mark.parametrize('prefix', PREFIXES)
@pytest.mark.parametrize('kind', ['swin', 'resnet'])
def test_any_one_prefix_is_found_and_said(tmp_path, prefix, kind):
    state = build(kind).state_dict()
    content = dict(state_dict={**under(prefix, state), 'head.weight': torch.zeros(2, 2), 'queue': torch.zeros(3)})
    tuned = loaded(tmp_path, kind, content)
    assert arrived(tuned, state) and tuned.coverage.share == 1
    assert f'found under the prefix "{prefix}"' in str(tuned.coverage)


@pytest.mark.parametrize('name', ['net', 'ema', 'student'])
def test_a_table_of_another_name_is_looked_into(tmp_path, name):
    state = build('swin').state_dict()
    content = {name: under('module.backbone.', state), 'optimizer': dict(state={0: dict(step=torch.tensor(1.0))})}
    assert arrived(loaded(tmp_path, 'swin', content), state)


@pytest.mark.parametrize('usual', ['', 'module.', 'backbone.', 'module.backbone.', '_orig_mod.backbone.'])
@pytest.mark.parametrize('beside', ['teacher.backbone.', 'a.backbone.', 'module.encoder_k.'])
def test_of_several_it_is_the_usual_one(tmp_path, usual, beside):
    state = build('swin').state_dict()
    assert arrived(loaded(tmp_path, 'swin', {**under(beside, other(state)), **under(usual, state)}), state)


SEVERAL = [
    (lambda a, b: dict(teacher=under('backbone.', a), student=under('module.backbone.', b)), 'teacher.backbone'),
    (lambda a, b: dict(state_dict={**under('module.encoder_q.', a), **under('module.encoder_k.', b)}), 'encoder_q'),
    (lambda a, b: {**under('rgb.', a), **under('depth.', b)}, 'rgb'),
]


@pytest.mark.parametrize('content, named', SEVERAL)
def test_of_several_others_the_user_names_one(tmp_path, content, named):
    state = build('swin').state_dict()
    content = content(state, other(state))
    with pytest.raises(ValueError, match=f'x.pth.*2 times, under .*{named}.*init_cfg.prefix='):
        loaded(tmp_path, 'swin', content)
    assert arrived(loaded(tmp_path, 'swin', content, prefix=named), state)
    assert arrived(loaded(tmp_path, 'swin', content, prefix=f'{named}.'), state)


def test_a_named_prefix_excludes_others(tmp_path):
    state = build('swin').state_dict()
    content = {**under('backbone.', state), **under('ema.backbone.', other(state))}
    assert arrived(loaded(tmp_path, 'swin', content, prefix='ema.backbone'), other(state))
    with pytest.raises(ValueError, match='nothing under the prefix "student"'):
        loaded(tmp_path, 'swin', content, prefix='student')


def test_another_backbone_is_refused_with_the_names_in_the_file(tmp_path):
    with pytest.raises(ValueError, match=r'The names in the file begin with net\.conv1\.weight, net\.bn1\.weight, '):
        loaded(tmp_path, 'swin', under('net.', build('resnet').state_dict()))
    state = build('swin').state_dict()
    half = dict(list(state.items())[: len(state) // 2])
    with pytest.raises(ValueError, match='At least 95%'):
        loaded(tmp_path, 'swin', under('net.', half))
    with pytest.raises(ValueError, match='At least 95%'):  # by names alone it would be it
        loaded(tmp_path, 'swin', {name: value[..., None] for name, value in under('net.', state).items()})
