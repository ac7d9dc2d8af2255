"""Weights as timm and Hugging Face hand them out."""

import json

import pytest
import torch
from toy import METHODS, build

from mmest.checkpoints.safe import load_file

NAMES = {torch.float32: 'F32', torch.float16: 'F16', torch.bfloat16: 'BF16', torch.int64: 'I64', torch.bool: 'BOOL'}


def written(path, state, about=True):
    """The format: length of the table, the table, the bytes."""
    table, content = ({'__metadata__': {'format': 'pt'}} if about else {}), b''
    for name, value in state.items():
        part = bytes(value.contiguous().reshape(-1).view(torch.uint8).tolist()) if value.numel() else b''
        places = [len(content), len(content) + len(part)]
        table[name] = dict(dtype=NAMES[value.dtype], shape=list(value.shape), data_offsets=places)
        content += part
    text = json.dumps(table).encode()
    path.write_bytes(len(text).to_bytes(8, 'little') + text + content)
    return path


STATE = {
    'flag': torch.tensor([True, False, True]),  # the next begins at an odd byte
    'weight': torch.randn(2, 3),
    'half': torch.randn(4).half(),
    'brain': torch.randn(3, 1).bfloat16(),
    'count': torch.tensor(7),
    'empty': torch.empty(0, 4),
}


@pytest.mark.parametrize('about', [True, False])
@pytest.mark.parametrize('name', ['model.safetensors', 'weights.pth', 'weights'])
def test_a_file_is_known_by_its_content(tmp_path, name, about):
    loaded = load_file(written(tmp_path / name, STATE, about))
    assert loaded.keys() == STATE.keys()
    for key, value in STATE.items():
        assert loaded[key].dtype == value.dtype and torch.equal(loaded[key], value), key


@pytest.mark.parametrize('kind', ['resnet', 'vit'])
def test_it_is_a_pretrained_file(tmp_path, kind):
    state = build(kind).state_dict()
    tuned = build(kind, METHODS['est'], written(tmp_path / 'model.safetensors', state))
    tuned.init_weights()
    assert tuned.coverage.share == 1
    assert all(torch.equal(value, tuned.backbone.state_dict()[name]) for name, value in state.items())


def test_the_package_writes_what_is_read(tmp_path):
    package = pytest.importorskip('safetensors.torch', reason='safetensors is not installed')
    package.save_file(STATE, tmp_path / 'x.safetensors', metadata=dict(format='pt'))
    assert all(torch.equal(load_file(tmp_path / 'x.safetensors')[name], value) for name, value in STATE.items())


@pytest.mark.parametrize('cut', [1, 20, 45])
def test_a_cut_file_gets_a_sentence(tmp_path, cut):
    path = written(tmp_path / 'x.safetensors', STATE)
    path.write_bytes(path.read_bytes()[:-cut])
    with pytest.raises(ValueError, match='x.safetensors.* is truncated or damaged'):
        load_file(path)


@pytest.mark.parametrize('size', [9, 40, 200])
def test_a_file_cut_in_its_table_gets_a_sentence(tmp_path, size):
    path = written(tmp_path / 'x.safetensors', STATE)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ValueError, match='x.safetensors.* damaged'):
        load_file(path)


def test_a_table_that_fits_no_bytes_gets_a_sentence(tmp_path):
    path = written(tmp_path / 'x.safetensors', STATE)
    path.write_bytes(path.read_bytes().replace(b'"shape": [2, 3]', b'"shape": [9, 3]'))
    with pytest.raises(ValueError, match='truncated or damaged'):
        load_file(path)


def test_from_the_net_the_file_is_to_be_fetched(tmp_path):
    source = 'https://example.com/timm/resnet50/resolve/main/model.safetensors?download=true'
    with pytest.raises(ValueError, match='fetch it and name the file'):
        load_file(source)
    with pytest.raises(ValueError, match='fetch it and name the file'):
        build('vit', METHODS['est'], source).init_weights()
