"""What is remembered of due times is bounded by the groups that there are."""

from __future__ import annotations

from dataclasses import replace

from builders import group_of, key_of

from pushrelay.config import Freshness
from pushrelay.policies import Policies
from pushrelay.view.standings import Standings

YEAR = 365 * 24 * 3600 * 10**9
PUSHES = 10_000


def test_groups_that_are_no_more_are_not_kept_until_they_would_have_been_due() -> None:
    standings = Standings(Policies(Freshness(stale_after=YEAR)), now=1)
    for number in range(PUSHES):
        group = replace(group_of("x 1\n"), key=key_of(f"run-{number}"))
        standings.place(group)
        standings.drop(group.key.id)
    assert len(standings._dues._entries) == 0
    assert len(standings._dues._heap) < PUSHES / 5


def test_times_that_come_ever_nearer_do_not_pile_up() -> None:
    standings = Standings(Policies(), now=1)
    group = group_of("x 1\n")
    for number in range(PUSHES):
        standings.place(replace(group, stale_after=YEAR - number))
    assert len(standings._dues._heap) < PUSHES / 5
    assert standings.next_due == group.pushed_at + YEAR - (PUSHES - 1)
    assert standings.take_due(2 * YEAR) == [group.key.id]
