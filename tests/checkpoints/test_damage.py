"""A delta that is not what was written is refused, wherever the damage is."""

import copy
import hashlib
import io
import random
import tracemalloc

import pytest
import torch
from mmengine.runner import Runner, load_checkpoint
from toy import METHODS, runner_cfg

from mmest.checkpoints.delta import DELTA_KEY, decode_info, encode_info
from mmest.checkpoints.digests import digest
from mmest.checkpoints.files import SealedLocalBackend
from mmest.checkpoints.safe import load_file
from mmest.checkpoints.seal import broken

PLACES = 200
KEY = f'backbone.{DELTA_KEY}'


@pytest.fixture(scope='module')
def delta(weights, tmp_path_factory):
    folder = tmp_path_factory.mktemp('delta')
    Runner.from_cfg(runner_cfg('swin', METHODS['est'], weights['swin'], folder, epochs=1)).train()
    return folder / 'epoch_1.pth'


@pytest.fixture(scope='module')
def content(delta):
    return torch.load(delta, weights_only=True)


@pytest.fixture(scope='module')
def model(weights, tmp_path_factory):
    """Not trained: what waits for a checkpoint to predict."""
    folder = tmp_path_factory.mktemp('model')
    return Runner.from_cfg(runner_cfg('swin', METHODS['est'], weights['swin'], folder)).model


def test_torch_and_zip_tools_read_a_sealed_file(delta):
    import zipfile

    assert not broken(delta)
    assert torch.load(delta, weights_only=True, mmap=True)['state_dict'].keys()
    assert zipfile.ZipFile(delta).testzip() is None


def test_sealing_takes_no_memory_for_the_content_again(tmp_path):
    with io.BytesIO() as stream:
        torch.save(dict(x=torch.rand(1 << 20)), stream)
        content = stream.getvalue()
    body = content[:-2] + (13 + 64).to_bytes(2, 'little')
    wanted = body + b'mmest sha256 ' + hashlib.sha256(body).hexdigest().encode()
    tracemalloc.start()
    SealedLocalBackend().put(content, tmp_path / 'x.pth')
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (tmp_path / 'x.pth').read_bytes() == wanted
    assert most < len(content) / 4


def test_a_digest_takes_no_memory_for_the_tensor_again():
    tensor = torch.rand(1 << 10, 1 << 10).bfloat16()
    content = f'{tensor.dtype}{tuple(tensor.shape)}'.encode() + tensor.view(torch.uint8).numpy().tobytes()
    wanted = hashlib.sha256(content).hexdigest()[:16]
    tracemalloc.start()
    assert digest(tensor) == wanted
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < tensor.nbytes / 4


def test_every_flipped_bit_of_a_file_is_found(delta, tmp_path):
    whole, numbers = delta.read_bytes(), random.Random(5)
    for _ in range(PLACES):
        damaged = bytearray(whole)
        damaged[numbers.randrange(len(whole))] ^= 1 << numbers.randrange(8)
        (tmp_path / 'flipped.pth').write_bytes(damaged)
        with pytest.raises(ValueError, match='flipped.pth'):
            load_file(tmp_path / 'flipped.pth')


@pytest.mark.parametrize('size', [1, 64, 4096, 65536])
def test_holes_of_zeros_are_found(delta, tmp_path, size):
    whole, numbers = delta.read_bytes(), random.Random(size)
    for _ in range(10):
        start = numbers.randrange(len(whole) - size)
        if not any(whole[start : start + size]):
            continue
        (tmp_path / 'hole.pth').write_bytes(whole[:start] + bytes(size) + whole[start + size :])
        with pytest.raises(ValueError, match='hole.pth'):
            load_file(tmp_path / 'hole.pth')


@pytest.mark.parametrize('cut', [1, 10, 76, 77, 78, 98, 99, 100, 200])
def test_a_file_cut_near_its_end_is_found(delta, tmp_path, cut):
    (tmp_path / 'cut.pth').write_bytes(delta.read_bytes()[:-cut])
    with pytest.raises(ValueError, match='cut.pth'):
        load_file(tmp_path / 'cut.pth')


def _flip(tensor, number):
    """The tensor with one bit of its bytes flipped."""
    flat = tensor.clone().reshape(-1).view(torch.uint8)
    flat[number // 8 % len(flat)] ^= 1 << number % 8
    return flat.view(tensor.dtype).reshape(tensor.shape)


def test_every_flipped_bit_of_a_tensor_is_found_without_the_seal(content, model):
    """What moves state dicts about writes files of its own, without a seal; the digests travel with the tensors."""
    numbers, state = random.Random(7), content['state_dict']
    names = sorted(name for name in state if state[name].numel())
    for _ in range(PLACES):
        damaged, name = dict(state), numbers.choice(names)
        damaged[name] = _flip(state[name], numbers.randrange(8 * state[name].nbytes))
        with pytest.raises(ValueError, match='is damaged'):
            model.load_state_dict(damaged)
    model.load_state_dict(dict(state))


@pytest.mark.parametrize('name', ['head.0.weight', 'backbone.method.blocks.0.reduce.weight'])
def test_tensors_of_zeros_and_lost_ones_are_found(content, model, name):
    state = content['state_dict']
    with pytest.raises(ValueError, match='0 are missing and 1 have other values'):
        model.load_state_dict({**state, name: torch.zeros_like(state[name])})
    with pytest.raises(ValueError, match='1 are missing and 0 have other values'):
        model.load_state_dict({key: value for key, value in state.items() if key != name})


@pytest.mark.parametrize(
    'path, value, sentence',
    [
        (('state_dict',), None, 'its state_dict should be a table of names and values, but it is NoneType'),
        (('state_dict',), [1], 'its state_dict should be a table'),
        (('state_dict',), {}, 'are not in the checkpoint'),
        (('meta',), None, 'its meta should be a table'),
        (('meta',), 'text', 'its meta should be a table'),
        (('meta', 'cfg'), 5, r'its meta.cfg should be a text, but it is int'),
        (('meta', 'epoch'), 'one', 'its meta.epoch should be a number'),
        (('meta', 'dataset_meta'), [], 'its meta.dataset_meta should be a table'),
        (('message_hub',), None, 'its message_hub should be a table'),
        (('state_dict', KEY), None, 'does not say which backbone it belongs to'),
        (('state_dict', KEY), torch.zeros(3, dtype=torch.uint8), 'The entry that tells .* is damaged'),
        (('state_dict', 'head.0.weight'), 'text', '1 are missing'),
        (('state_dict', 'backbone.method.blocks.0.reduce.weight'), None, '1 are missing'),
    ],
)
def test_parts_of_another_kind_get_a_sentence(content, model, tmp_path, path, value, sentence):
    file = copy.deepcopy(content)
    part = file
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    torch.save(file, tmp_path / 'bad.pth')
    with pytest.raises(ValueError, match=sentence):
        load_checkpoint(model, str(tmp_path / 'bad.pth'))


@pytest.mark.parametrize('name', ['path', 'fingerprint', 'tensors', 'belongs_to', 'method', 'arguments', 'digests'])
@pytest.mark.parametrize('value', [None, 1.5])
def test_an_incomplete_entry_gets_a_sentence(content, model, name, value):
    info = decode_info(content['state_dict'][KEY])
    info[name] = value
    if value is None:
        del info[name]
    with pytest.raises(ValueError, match='The entry that tells .* is damaged'):
        model.load_state_dict({**content['state_dict'], KEY: encode_info(info)})


def test_a_delta_of_the_first_version_loads_and_says_that_it_cannot_be_checked(content, model, caplog):
    import json

    info = decode_info(content['state_dict'][KEY])
    old = {name: info[name] for name in ('fingerprint', 'tensors', 'belongs_to')}
    text = json.dumps(dict(old, version=1), sort_keys=True).encode()
    state = {**content['state_dict'], KEY: torch.tensor(list(text), dtype=torch.uint8)}
    with caplog.at_level('WARNING'):
        model.load_state_dict(state)
    assert torch.equal(model.state_dict()['head.0.weight'], state['head.0.weight'])


ARGUMENTS = [
    (dict(type='LoRA', rank=2, alpha=32), dict(type='LoRA', rank=2), 'alpha'),
    (dict(type='AdaptFormer', hidden=4, scale=0.1), dict(type='AdaptFormer', hidden=4, scale=1.0), 'scale'),
    (dict(type='Convpass', hidden=4, scale=10.0), dict(type='Convpass', hidden=4), 'scale'),
    (dict(type='LST', window=4), dict(type='LST', window=8), 'window'),
    (dict(type='EST', gate='dynamic'), dict(type='EST', gate='channel'), 'gate'),
]


@pytest.mark.parametrize('trained, here, name', ARGUMENTS)
def test_other_arguments_of_a_method_are_refused(weights, tmp_path, trained, here, name):
    from toy import build

    from mmest.checkpoints.delta import strip_frozen

    first = build('swin', trained, weights['swin'])
    first.init_weights()
    checkpoint = dict(state_dict=first.state_dict())
    strip_frozen([('', first)], checkpoint, {'': dict(first.restorable())})
    other = build('swin', here, weights['swin'])
    with pytest.raises(ValueError, match=rf'trained by {trained["type"]} with {name}=.*Use the config'):
        other.load_state_dict(dict(checkpoint['state_dict']))
    build('swin', dict(trained, lr_mult=7.0), weights['swin']).load_state_dict(checkpoint['state_dict'])
