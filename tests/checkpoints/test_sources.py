"""One rule for every source: tensors and plain types only, for models of mmest; for others nothing changes."""

import argparse
import functools
import http.server
import os
import re
import subprocess
import sys
import threading
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner, load_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from toy import METHODS, build, runner_cfg

from mmest.checkpoints.safe import _MMENGINE_TYPES, TRUST, load_file, safe_loading, trusted
from mmest.cli._options import add_trust


class Bomb:
    """What makes a file when it is unpickled."""

    def __init__(self, path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.fixture
def server(tmp_path, monkeypatch):
    """(folder, its address) of a server on this machine."""
    folder = tmp_path / 'www'
    folder.mkdir()
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'torch'))
    monkeypatch.setenv('MMENGINE_HOME', str(tmp_path / 'mmengine'))
    monkeypatch.setenv('no_proxy', '127.0.0.1')

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args) -> None:
            pass

    made = http.server.ThreadingHTTPServer(('127.0.0.1', 0), functools.partial(Quiet, directory=str(folder)))
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield folder, f'http://127.0.0.1:{made.server_port}'
    made.shutdown()
    made.server_close()


@pytest.fixture
def bomb(server, weights, tmp_path, monkeypatch):
    """A pretrained file with code in it, under every scheme, and what the code would make."""
    folder, address = server
    made = tmp_path / 'made'
    torch.save(dict(torch.load(weights['swin']), extra=Bomb(made)), folder / 'bomb.pth')
    (tmp_path / 'mmengine').mkdir()
    (tmp_path / 'mmengine' / 'open_mmlab.json').write_text(f'{{"bomb": "{address}/bomb.pth"}}')
    monkeypatch.setattr('mmengine.runner.checkpoint.get_torchvision_models', lambda: {'bomb': f'{address}/bomb.pth'})
    sources = dict(
        file=str(folder / 'bomb.pth'),
        http=f'{address}/bomb.pth',
        mmlab='open-mmlab://bomb',
        vision='torchvision://bomb',
    )
    return sources, made


SCHEMES = ['file', 'http', 'mmlab', 'vision']


@pytest.mark.parametrize('scheme', SCHEMES)
def test_code_does_not_run_whatever_the_scheme(bomb, weights, tmp_path, scheme):
    sources, made = bomb
    sentence = 'not safe to load .*mkdir.*--trust-checkpoint or set MMEST_TRUST_CHECKPOINTS=1'
    with pytest.raises(ValueError, match=sentence):
        load_file(sources[scheme])
    with pytest.raises(ValueError, match=sentence):  # init_cfg
        build('swin', METHODS['est'], sources[scheme]).init_weights()
    cfg = runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path / 'work', load_from=sources[scheme])
    with pytest.raises(ValueError, match=sentence):  # load_from
        Runner.from_cfg(cfg).train()
    model = Runner.from_cfg(runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path / 'again')).model
    with pytest.raises(ValueError, match=sentence):  # init_detector and init_model
        load_checkpoint(model, sources[scheme])
    assert not made.exists()


@pytest.mark.parametrize('scheme', ['file', 'http'])
def test_a_trusted_source_is_loaded_as_it_is(bomb, monkeypatch, scheme):
    sources, made = bomb
    monkeypatch.setenv(TRUST, '1')
    assert 'state_dict' in load_file(sources[scheme])
    assert made.exists()


def test_the_option_is_the_switch(monkeypatch):
    monkeypatch.setenv(TRUST, '0')
    parser = argparse.ArgumentParser()
    add_trust(parser)
    parser.parse_args([])
    assert not trusted()
    parser.parse_args(['--trust-checkpoint'])
    assert trusted()


def test_what_cannot_be_fetched_gets_a_sentence(server):
    for source in (f'{server[1]}/nowhere.pth', 'http://127.0.0.1:9/x.pth'):
        with pytest.raises(FileNotFoundError, match='could not be read'):
            load_file(source)
        with pytest.raises(FileNotFoundError, match='pretrained weights of VisionTransformer') as said:
            build('vit', dict(type='EST'), source).init_weights()
        assert str(said.value).count(source) == str(said.value).count('could not be read') == 1
        ways = '--weights FILE in mmest train, .* in mmest test, .* mmest predict and mmest export take by --config'
        assert re.search(ways, str(said.value)) and '..' not in str(said.value)


@pytest.mark.parametrize(
    'content, sentence', [(b'model = dict()\n', 'it holds text'), (b'', 'damaged'), (b'\x80\x02}.', 'damaged')]
)
def test_what_is_no_checkpoint_gets_a_sentence(tmp_path, content, sentence):
    (tmp_path / 'x.pth').write_bytes(content)
    try:
        loaded = load_file(tmp_path / 'x.pth')
    except ValueError as error:
        assert sentence in str(error)
    else:
        assert loaded == {}


def test_other_models_load_as_without_mmest(tmp_path, weights):
    """Also in a process that has a tuned model: torch's own answer for an object, and its types."""
    tuned = Runner.from_cfg(runner_cfg('swin', METHODS['est'], weights['swin'], tmp_path)).model
    assert tuned is not None
    torch.save(dict(state_dict=build('swin').state_dict(), args=Namespace(a=1)), tmp_path / 'plain.pth')
    with torch.serialization.safe_globals([Namespace]):
        loaded = load_checkpoint(build('swin'), str(tmp_path / 'plain.pth'))
        assert loaded['args'].a == 1
    with pytest.raises(Exception, match='weights_only|Weights only'):
        CheckpointLoader.load_checkpoint(str(tmp_path / 'plain.pth'))


IMPORT = """
import os, torch
from mmengine.fileio import backends
from mmengine.runner.checkpoint import CheckpointLoader
def state():
    return (dict(CheckpointLoader._schemes), dict(backends.backends), set(torch.serialization.get_safe_globals()),
            dict(backends.prefix_to_backends), {k: v for k, v in os.environ.items() if 'WEIGHTS_ONLY' in k})
before = state()
import mmest
after = state()
assert after[1].pop('mmest')
assert before == after
"""


def test_importing_changes_nothing_for_others():
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', IMPORT], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1000:]


def test_every_version_of_torch_finds_the_types_by_their_names():
    """Up to 2.5 torch looks for ``__name__``, later for ``__qualname__``."""
    named = {
        attribute: {f'{kind.__module__}.{getattr(kind, attribute)}' for kind in _MMENGINE_TYPES}
        for attribute in ('__name__', '__qualname__')
    }
    assert named['__name__'] == named['__qualname__']
    wanted = {'builtins.getattr', 'numpy.ndarray', 'numpy.dtype', 'mmengine.logging.history_buffer.HistoryBuffer'}
    wanted |= {f'numpy.{old}core.multiarray.{name}' for old in ('', '_') for name in ('_reconstruct', 'scalar')}
    assert wanted <= named['__name__']


BUILD_INSIDE = """
import sys
sys.path.insert(0, {tests!r})
import toy
from mmengine.runner.checkpoint import CheckpointLoader, load_checkpoint
from mmest.checkpoints.safe import safe_loading
before = dict(CheckpointLoader._schemes)
with safe_loading():
    model = toy.build('swin', dict(type='EST'))
assert before.keys() == CheckpointLoader._schemes.keys() and before != CheckpointLoader._schemes
load_checkpoint(model, {file!r})
"""


def test_a_model_that_is_built_while_loading_is_held_to_the_rule_too(bomb):
    """What predict does: the first tuned model of a process is built inside."""
    sources, made = bomb
    program = BUILD_INSIDE.format(tests=str(Path(__file__).parents[1]), file=sources['http'])
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', program], capture_output=True, text=True)
    assert 'not safe to load' in done.stderr and not made.exists()


def test_all_is_as_before_after_loading(monkeypatch, weights):
    monkeypatch.setenv('TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD', '1')

    def state():
        kinds = [id(kind) for kind in torch.serialization.get_safe_globals()]
        return dict(CheckpointLoader._schemes), sorted(kinds), dict(os.environ)

    before = state()
    with safe_loading(), safe_loading():
        assert state() != before
    load_file(weights['swin'])
    with pytest.raises(FileNotFoundError):
        load_file('nowhere.pth')
    assert state() == before
