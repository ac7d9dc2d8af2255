"""Numbers outside their limits are errors of usage in every command, and say the limits."""

import pytest

CASES = [
    ('train', ['c.py', '--seed', '-1'], '--seed: it should be from 0 to 4294967295, but it is -1'),
    ('train', ['c.py', '--seed', '1.5'], "--seed: invalid whole number value: '1.5'"),
    ('train', ['--data', 'd', '--epochs', '0'], '--epochs: 0 is not above 0'),
    ('train', ['--data', 'd', '--lr', '-0.1'], '--lr: -0.1 is not above 0'),
    ('train', ['--data', 'd', '--lr', 'nan'], '--lr: nan is not above 0'),
    ('train', ['--data', 'd', '--epochs', 'few'], "--epochs: invalid number value: 'few'"),
    ('memory', ['c.py', '--size', '64', '16'], '--size: it should be from 32 to 32768, but it is 16'),
    ('memory', ['c.py', '--batch-size', '0'], '--batch-size: it should be at least 1, but it is 0'),
    ('time', ['c.py', '--steps', '1'], '--steps: it should be at least 2, but it is 1'),
    ('time', ['c.py', '--size', '64', '999999'], 'from 32 to 32768'),
    ('plan', ['c.py', '--budget', '8GiB', '--batch-size', '-3'], '--batch-size: it should be at least 1'),
    ('predict', ['m.pth', 'a.png', '--score', '30'], '--score: it should be from 0 to 1, but it is 30.0'),
    ('predict', ['m.pth', 'a.png', '--score', 'nan'], '--score: it should be from 0 to 1, but it is nan'),
    ('predict', ['m.pth', 'a.png', '--tile', '8'], '--tile: it should be at least 32'),
    ('predict', ['m.pth', 'a.png', '--overlap', '-4'], '--overlap: it should be at least 0'),
]


@pytest.mark.parametrize('name, arguments, sentence', CASES)
def test_limits(mmest, capsys, name, arguments, sentence):
    assert mmest(name, *arguments) == 2
    assert sentence in capsys.readouterr().err
