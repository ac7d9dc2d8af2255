"""Of several processes that look at a training, the first that refuses says why."""

import pytest
from mmengine.config import Config

from mmest.engine import launch


@pytest.mark.parametrize(
    'refused, says',
    [
        ([False, False, False], [None, None, None]),
        ([True, False, False], ['no', 1, 1]),
        ([False, True, True], [1, 'no', 1]),
        ([True, True, True], ['no', 1, 1]),
    ],
)
def test_the_first_that_refuses_says_why_and_all_end(monkeypatch, refused, says):
    monkeypatch.setattr(launch, 'meet_processes', lambda *_: None)
    monkeypatch.setattr(launch, 'all_gather_object', lambda _: refused)

    def ends(rank: int) -> str | int | None:
        def look() -> None:
            if refused[rank]:
                raise ValueError('no')

        monkeypatch.setattr(launch, 'get_rank', lambda: rank)
        try:
            launch.all_or_none(Config(), 'pytorch', look)
        except (ValueError, SystemExit) as end:
            return end.args[0]
        return None

    assert [ends(rank) for rank in range(3)] == says
