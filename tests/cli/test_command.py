"""The command itself: its help, its commands, and the scripts that are the same."""

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from mmest.cli import main
from mmest.cli._overview import command_files, overview
from mmest.datasets.preparation.registry import official_names

REPOSITORY = Path(__file__).resolve().parents[2]
COMMANDS = [
    name if path.name != '__init__.py' else f'{name} {below}'
    for name, path in command_files().items()
    for below in (command_files(path.parent) if path.name == '__init__.py' else [None])
]


def test_help_fits_a_screen_and_lists_every_command():
    lines = overview().splitlines()
    assert len(lines) <= 23 and max(map(len, lines)) <= 80
    listed = {line.split()[0] for line in lines[lines.index('commands:') + 1 :]}
    assert listed == set(command_files()) >= {'train', 'test', 'predict', 'demo', 'data'}


def test_help_is_shown_without_loading_torch():
    said = subprocess.run(
        [sys.executable, '-X', 'importtime', REPOSITORY / 'mmest_command.py', '--help'],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        check=True,
    )
    assert said.stdout == overview() + '\n'
    assert '| torch' not in said.stderr and '| mmest' not in said.stderr


@pytest.mark.parametrize('name', COMMANDS)
def test_every_command_teaches_by_examples(mmest, capsys, name):
    assert mmest(*name.split(), '--help') == 0
    said = capsys.readouterr().out
    assert said.startswith(f'usage: mmest {name} ') and 'examples:' in said
    assert f'mmest {name}' in said.partition('examples:')[2]


@pytest.mark.parametrize(
    'words, sentence',
    [
        (['trian'], 'mmest: there is no command "mmest trian". Did you mean mmest train?'),
        (['data', 'sintetic'], 'mmest: there is no command "mmest data sintetic". Did you mean mmest data synthetic?'),
        (['_overview'], 'mmest: there is no command "mmest _overview". '),
    ],
)
def test_an_unknown_command_suggests_a_near_one(mmest, words, sentence):
    assert mmest(*words).startswith(sentence)


@pytest.mark.parametrize(
    'words, sentence',
    [
        (['train', 'x', '--resume', '--overwrite'], 'train: Either --resume goes on with what is there or --overwrite'),
        (['train', 'x', '--resume', 'a.pth', '--overwrite'], 'train: Either --resume'),
        (['train', 'x', '--allow-partial-resume'], 'train: --allow-partial-resume goes with --resume; add that'),
        (['configs', '--tuning', 'est'], 'configs: --backbone and --tuning go with a CONFIG; name one'),
        (['configs', '--backbone', 'swin-b'], 'configs: --backbone and --tuning go with a CONFIG'),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(mmest, words, sentence):
    assert mmest(*words).startswith(sentence)


def test_a_command_with_others_below_it_lists_them(mmest, capsys):
    assert mmest('data') == mmest('data', '--help') == 0
    assert re.search(r'^  synthetic  \S', capsys.readouterr().out, re.MULTILINE)


@pytest.mark.parametrize(
    'script, name',
    [
        ('train', 'train'),
        ('test', 'test'),
        ('predict', 'predict'),
        ('export', 'export'),
        ('measure_memory', 'memory'),
        ('plan_memory', 'plan'),
        ('measure_time', 'time'),
        ('list_tunings', 'methods'),
        ('benchmark', 'benchmark'),
        ('make_tables', 'tables'),
        ('make_synthetic', 'data synthetic'),
        ('demo', 'demo'),
    ],
)
def test_scripts_are_the_commands(monkeypatch, capsys, script, name):
    monkeypatch.setattr(sys, 'argv', [f'{script}.py', '--help'])
    with pytest.raises(SystemExit, match='^0$'):
        runpy.run_path(str(REPOSITORY / 'tools' / f'{script}.py'), run_name='__main__')
    assert capsys.readouterr().out.startswith(f'usage: mmest {name} ')


def test_the_embedded_data_set_is_written_once(mmest, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr('os.cpu_count', lambda: 1)  # other processes would import for seconds
    for said in ('written', 'already there'):
        assert mmest('data', 'synthetic', tmp_path / 'data', '--images', 2, '--size', 64) == 0
        assert f'{tmp_path}/data: {said}' in ''.join(capsys.readouterr().out.splitlines())
    assert mmest('data', 'synthetic', tmp_path).startswith('data synthetic: ')


def test_data_prepare_without_a_name_lists_the_data_sets(capsys):
    main(['data', 'prepare'])
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines()[1:]}
    assert listed == set(official_names())
