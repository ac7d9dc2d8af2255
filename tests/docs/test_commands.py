"""Commands that the docs and the help of other commands print are understood, and name configs that there are."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from mmest.cli import main
from mmest.cli._overview import command_files
from mmest.configs import available_backbones, available_tunings
from mmest.configs.names import find_config
from mmest.datasets.preparation.registry import official_names

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / 'README.md', ROOT / 'CONTRIBUTING.md', *sorted((ROOT / 'docs').rglob('*.md'))]
HELP = sorted((ROOT / 'mmest' / 'cli').rglob('[a-z]*.py'))


def printed(file: Path) -> Iterator[str]:
    """Commands on lines of their own, with those that they go on on; what may be left out is there."""
    text = re.sub(r' *\\+\n +', ' ', file.read_text(encoding='utf-8'))
    for line in re.findall(r'^ {2,4}(?:torchrun .* -m )?(mmest [a-z].*)$', text, re.MULTILINE):
        if not re.match(r'mmest \S+( \S+)?  ', line):  # a list of commands, with what they do
            yield re.sub(r'[][]|\.\.\.', '', line).replace(' N', ' 1')


COMMANDS = {f'{file.relative_to(ROOT)}: {line}': line for file in PAGES + HELP for line in printed(file)}


def test_there_are_some():
    assert len(COMMANDS) > 80


@pytest.mark.parametrize('where', COMMANDS)
def test_it_is_understood(where, monkeypatch, capsys):
    words = shlex.split(COMMANDS[where], comments=True)[1:]
    if words[0].isupper() or words[0] not in command_files():
        pytest.fail(f'mmest has no command "{words[0]}"')
    name = f'mmest.cli.data.{words[1]}' if words[0] == 'data' else f'mmest.cli.{words[0]}'
    seen = []
    monkeypatch.setattr(importlib.import_module(name), 'run', seen.append)
    try:
        main(words)
    except SystemExit as end:
        assert not end.code, capsys.readouterr().err
        return  # --help
    (args,) = seen
    config = getattr(args, 'config', None)
    if isinstance(config, str) and re.search('[a-z]', config) and not Path(config).suffix:
        find_config(config)
    for given, known in (
        (getattr(args, 'backbone', None), available_backbones()),
        (getattr(args, 'tuning', None), available_tunings()),
    ):
        assert given is None or given.isupper() or given in known
    if name == 'mmest.cli.data.prepare' and args.name not in (None, 'NAME'):
        assert args.name in official_names()
