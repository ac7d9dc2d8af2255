"""mmest backbones, and the page of what it finds."""

import json

import pytest

from mmest.benchmark.families import run
from mmest.benchmark.tables.families import families_page, read_families


def test_command_and_page(mmest, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, 'available_tunings', lambda: ['est', 'frozen', 'lora', 'lst'])
    monkeypatch.setattr(run, 'commit', lambda: 'abc')
    assert mmest('backbones', '--only', 'mmdet,hourglass,swin', '--out', tmp_path) == 0
    said = capsys.readouterr().out
    assert 'Hourglass (mmdet): 2 works, 2 refused\nSwin (mmdet): 4 works\n' in said
    record = json.loads((tmp_path / 'backbones' / 'mmdet_hourglass.json').read_text())
    assert record['methods']['frozen'] == dict(verdict='works', says=None)
    assert record['methods']['est']['verdict'] == 'refused'
    assert record['commit'] == 'abc'

    record['methods']['lora'] = dict(verdict='fails', says='LoRA is tired')
    broken = dict(record, family='Later', error='TypeError: renamed')
    del broken['methods']
    for name, content in (('mmdet_hourglass', record), ('mmdet_later', broken)):
        (tmp_path / 'backbones' / f'{name}.json').write_text(json.dumps(content))
    page = families_page(read_families([tmp_path]))
    assert '| family | library | est | frozen | lora | lst |' in page
    assert '| Hourglass | mmdet | refused | ✓ | **fails** | refused |' in page
    assert '| Swin | mmdet | ✓ | ✓ | ✓ | ✓ |' in page
    assert page.count('EST carries its state') == 1 and 'LST carries' not in page
    assert '- Hourglass (mmdet), lora: LoRA is tired' in page
    assert '- Later (mmdet): TypeError: renamed' in page
    missing = page.partition('What has no record yet')[2]
    assert 'ResNet (mmdet)' in missing and 'Hourglass (mmdet)' not in missing
    assert f'mmdet {record["versions"]["mmdet"]}' in page


def test_the_page_of_what_was_tried_needs_no_other_records(mmest, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, 'available_tunings', lambda: ['frozen'])
    assert mmest('backbones', '--only', 'mmdet,swin', '--out', tmp_path / 'tried') == 0
    assert mmest('tables', tmp_path / 'tried', '--out', tmp_path / 'docs') == 0
    assert f'Wrote {tmp_path / "docs" / "backbones.md"}' in capsys.readouterr().out.replace('\n', '')
    assert '| Swin | mmdet | ✓ |' in (tmp_path / 'docs' / 'backbones.md').read_text()
    assert not (tmp_path / 'docs' / 'benchmarks.md').exists()
    (tmp_path / 'notes.md').write_text('Of tables.')
    said = mmest('tables', tmp_path / 'tried', '--out', tmp_path / 'docs', '--notes', tmp_path / 'notes.md')
    assert 'neither records nor trainings' in said and 'mmest time and mmest backbones' in said


def test_what_the_same_code_tried_is_kept(mmest, tmp_path, monkeypatch):
    tried = []
    monkeypatch.setattr(run, 'available_tunings', lambda: ['frozen'])
    monkeypatch.setattr(run, 'verdict', lambda *_: tried.append(1) or ('works', None))
    for commit, runs in (('abc', 1), ('abc', 1), ('abd', 2), ('abd-dirty', 3), ('abd-dirty', 4), (None, 5), (None, 6)):
        monkeypatch.setattr(run, 'commit', lambda commit=commit: commit)
        assert mmest('backbones', '--only', 'mmdet,swin', '--out', tmp_path) == 0
        assert len(tried) == runs
        assert json.loads((tmp_path / 'backbones' / 'mmdet_swin.json').read_text())['commit'] == commit


@pytest.mark.parametrize(
    'words, sentence',
    [('timm,resmet', '"resmet" is neither a library nor a family'), ('mmdet,hiera', 'No library has')],
)
def test_words_that_name_nothing(mmest, tmp_path, words, sentence):
    assert sentence in mmest('backbones', '--only', words, '--out', tmp_path)


def test_a_library_that_is_not_installed_is_named(monkeypatch):
    missing = run.LIBRARIES['timm']._replace(package='no_such_library')
    monkeypatch.setitem(run.LIBRARIES, 'timm', missing)
    with pytest.raises(ValueError, match='Install timm first'):
        run.choose(['timm'])
    assert {m.library for m in run.choose([])} >= {'mmdet', 'mmseg'}
    assert 'timm' not in {m.library for m in run.choose([])}
