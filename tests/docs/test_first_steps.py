"""The notebook runs from its first cell to its last, and its figures are drawn."""

import json
from pathlib import Path

import matplotlib

NOTEBOOK = Path(__file__).parents[2] / 'docs' / 'first_steps.ipynb'


def test_every_cell_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    matplotlib.use('agg')
    import matplotlib.pyplot as plt

    names: dict = {'__name__': 'notebook'}
    for cell in json.loads(NOTEBOOK.read_text(encoding='utf-8'))['cells']:
        if cell['cell_type'] == 'code':
            assert not cell['outputs'], 'outputs are not kept in the repository'
            exec(compile(''.join(cell['source']), str(NOTEBOOK), 'exec'), names)
    assert len(plt.get_fignums()) == 3
    plt.close('all')
    said = capsys.readouterr().out
    assert 'EST' in said and 'MB instead of' in said
    assert names['peaks']['EST'] < names['peaks']['LoRA'] < names['peaks']['Full']
    assert names['losses'][-1] < names['losses'][0]
