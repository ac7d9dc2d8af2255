"""Links between the README, docs and sources lead to the pages of the site."""

import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

HOOKS = Path(__file__).parents[2] / 'tools' / 'docs_hooks.py'


@pytest.fixture
def hooks(monkeypatch):
    for name in ('mkdocs', 'mkdocs.structure', 'mkdocs.structure.files'):  # which only the site needs
        monkeypatch.setitem(sys.modules, name, MagicMock())
    spec = importlib.util.spec_from_file_location('docs_hooks', HOOKS)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(
    ('page', 'link', 'place'),
    [
        ('methods.md', '../CONTRIBUTING.md', 'CONTRIBUTING.md'),
        ('methods.md', '../CONTRIBUTING.md#add-a-command', 'CONTRIBUTING.md#add-a-command'),
        ('datasets/README.md', '../../README.md#results', '../index.md#results'),
        ('CONTRIBUTING.md', 'docs/datasets/README.md#the-grid', 'datasets/README.md#the-grid'),
        ('est.md', '../mmest/tuning/side/way.py', 'reference/tuning.md#mmest.tuning.side.way'),
    ],
)
def test_links_lead_to_pages(hooks, page, link, place):
    file = SimpleNamespace(file=SimpleNamespace(src_uri=page))
    assert hooks.on_page_markdown(f'[text]({link})', file, None, None) == f'[text]({place})'
