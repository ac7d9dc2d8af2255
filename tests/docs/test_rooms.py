"""The order of the folders that CONTRIBUTING.md states is the order of their imports."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / 'mmest'


def imported(path: Path) -> set[str]:
    """The folders of the package that a file imports from."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f'{node.module}.{alias.name}' for alias in node.names}
    return {name.split('.')[1] for name in found if name.startswith('mmest.')}


def test_a_room_imports_from_those_before_it():
    text = (ROOT / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    stated = re.findall('`([a-z]+)`', re.search(r'Where things are: (.*?)A room imports', text, re.DOTALL).group(1))
    assert sorted(stated) == sorted(path.parent.name for path in PACKAGE.glob('*/__init__.py'))
    for number, room in enumerate(stated):
        for path in (PACKAGE / room).rglob('*.py'):
            back = imported(path) & set(stated[number + 1 :])
            assert not back, f'{path.relative_to(ROOT)} imports from {", ".join(back)}, which is above it'
