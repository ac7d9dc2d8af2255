"""Texts whose figures come from results."""

import re
from collections.abc import Sequence

from .results import Result
from .rows import find
from .summary import summary
from .table import MISSING

_MB = 2**20
_MARKED = re.compile(r'(<!-- results -->)\n.*?(<!-- /results -->)', re.DOTALL)
_FIGURE = re.compile(r'\{\{(\w+) ([^{}]+)\}\}')


def fill(text: str, results: Sequence[Result]) -> str:
    """Replace the figures that a text asks for; what was not measured is seen to be missing.

    ``{{peak MODEL | SETTING | METHOD}}``: the live peak in MB.
    ``{{part MODEL | SETTING | METHOD | CATEGORY}}``: the bytes of one category at the peak, in MB.
    ``{{saves MODEL | SETTING | METHOD | SETTING | METHOD}}``: how much less the first needs than the second, in MB and
    per cent.
    ``{{share MODEL | SETTING | METHOD | SETTING | METHOD}}``: the first's live peak as per cent of the second's.

    Raises:
        ValueError: the text asks for something else.
    """

    def peak(model: str, setting: str, method: str, category: str = '') -> object:
        some = [r for r in results if (r.kind, r.model, r.setting) == ('memory', model, setting)]
        return find(some, method, lambda r: (r.values['attribution'][category] if category else r.values['peak']) / _MB)

    def figure(found: re.Match) -> str:
        kind, words = found.group(1), [word.strip() for word in found.group(2).split('|')]
        if (kind, len(words)) in (('peak', 3), ('part', 4)):
            return _rounded(peak(*words))
        if kind in ('saves', 'share') and len(words) == 5:
            ours, other = peak(*words[:3]), peak(words[0], *words[3:])
            if not isinstance(ours, float) or not isinstance(other, float):
                return MISSING
            if kind == 'share':
                return f'{ours / other:.1%}'
            return f'{other - ours:.0f} MB ({1 - ours / other:.0%})'
        raise ValueError(f'{found.group(0)} is no figure that can be filled in.')

    return _FIGURE.sub(figure, text)


def with_overview(text: str, results: Sequence[Result]) -> str:
    """A text with the table of methods and costs between its marks, ``<!-- results -->`` and ``<!-- /results -->``.

    Methods whose accuracy was not measured are left to the benchmarks' page.

    Raises:
        ValueError: the marks are not there.
    """
    if not _MARKED.search(text):
        raise ValueError('The text has no place for the table: <!-- results --> and <!-- /results -->, each on a line.')
    table = summary(results).markdown()
    return _MARKED.sub(lambda found: f'{found[1]}\n{table}{found[2]}', text)


def _rounded(value: object) -> str:
    return f'{value:.0f}' if isinstance(value, float) else MISSING if value is None else str(value)
