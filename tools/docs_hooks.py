"""What mkdocs does beside its own work: the start page is the README, and every module has a place in the reference."""

import re
from pathlib import Path

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / 'mmest'
#: Pages of the site whose texts lie outside of docs/.
OUTSIDE = {'index.md': 'README.md', 'CONTRIBUTING.md': 'CONTRIBUTING.md', 'CHANGELOG.md': 'CHANGELOG.md'}


def _modules(room: Path) -> list[str]:
    """Dotted names of the modules of a room (a folder, or a file) that have public names."""
    files = sorted(room.rglob('*.py')) if room.is_dir() else [room]
    names = ['.'.join(file.relative_to(ROOT).with_suffix('').parts).removesuffix('.__init__') for file in files]
    return [name for name in names if not name.rpartition('.')[2].startswith('_')]


def _rooms() -> dict[str, Path]:
    found = [path for path in sorted(PACKAGE.iterdir()) if (path / '__init__.py').is_file() or path.suffix == '.py']
    return {path.stem: path for path in found if not path.stem.startswith('_')}


def on_config(config):
    """The reference is in the navigation, a page for each room of the package."""
    config.nav.append({'Reference': [{name: f'reference/{name}.md'} for name in _rooms()]})
    return config


def on_files(files: Files, config) -> Files:
    """The pages that are made: those from outside of docs/ and the reference."""
    for page, name in OUTSIDE.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text(encoding='utf-8')))
    for name, room in _rooms().items():
        body = '\n\n'.join(f'::: {module}' for module in _modules(room))
        files.append(File.generated(config, f'reference/{name}.md', content=f'# {name}\n\n{body}\n'))
    return files


def on_page_markdown(markdown: str, page, config, files) -> str:
    """Links to sources lead to the reference; links between README and docs fit the site, where both are one folder."""
    up = '../' * page.file.src_uri.count('/')
    if page.file.src_uri in OUTSIDE:
        markdown = re.sub(r'\[([^]]+)\]\((?:configs|benchmarks|tools)/[^)]+\)', r'\1', markdown)
        markdown = re.sub(r'\]\(docs/([^)]+)\)', r'](\1)', markdown)
    outside = r'(?:\.\./)+(?:benchmarks/(?:grids|results|trials)|configs|tools)'
    markdown = re.sub(rf'\[([^]]+)\]\({outside}[^)]*\)', r'\1', markdown)
    for place, name in OUTSIDE.items():
        markdown = re.sub(rf'\]\((?:\.\./)+{re.escape(name)}(#[\w-]+)?\)', rf']({up}{place}\1)', markdown)
    return re.sub(r'\]\((?:\.\./)*mmest/([\w/]+)\.py\)', lambda match: f']({up}{_place(match[1])})', markdown)


def _place(path: str) -> str:
    room, module = path.partition('/')[0], 'mmest.' + path.replace('/', '.')
    return f'reference/{room}.md#{module}'
