"""What the view knows of a job is the same however its changes are read."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from builders import group_of, key_of

from pushrelay.changes import Changes, Emptied, GroupChange, JobRecord, Position
from pushrelay.groups import Group, Job
from pushrelay.job_rules import parse_rules
from pushrelay.policies import Policies
from pushrelay.view.view import View

SECOND = 10**9
RULES = parse_rules(
    '[[jobs]]\nmatch = \'job="pods"\'\nstale_after = "10s"\non_stale = "forget"',
    "rules.toml",
)
ONE, TWO = key_of("pods", instance="1"), key_of("pods", instance="2")
Commit = tuple[list[GroupChange], list[JobRecord]]


def pushed(key: object, at: int, revision: int) -> Group:
    group = group_of("x 1", key, revision=revision, pushed_at=at * SECOND)  # type: ignore[arg-type]
    return replace(group, created_at=at * SECOND)


def view_of(commits: list[Commit], now: int, *, at_once: bool) -> View:
    """Return a view that read `commits`, one by one or all in one go, by `now`."""
    view = View(Policies(None, RULES))
    view.apply(Changes(None, Position(0, b""), []))
    view.advance(now * SECOND)
    positions = [Position(number, b"") for number in range(len(commits) + 1)]
    if at_once:
        groups = [change for groups, _ in commits for change in groups]
        jobs = [record for _, records in commits for record in records]
        view.apply(Changes(positions[0], positions[-1], groups, jobs))
    else:
        for (before, after), (groups, jobs) in zip(
            pairwise(positions), commits, strict=True
        ):
            view.apply(Changes(before, after, groups, jobs))
    view.advance(now * SECOND)
    return view


def known(job: Job | None) -> tuple[int, int] | None:
    return None if job is None else (job.pushed_at // SECOND, job.groups)


RETIRED = JobRecord("pods", 2, None)


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize(
    ("commits", "now", "expected"),
    [
        # retired, and pushed to again
        (
            [
                ([pushed(ONE, 100, 1)], []),
                ([Emptied(ONE.id, 2)], [RETIRED]),
                ([pushed(TWO, 105, 3)], []),
            ],
            106,
            (105, 1),
        ),
        # the new push is forgotten by now
        (
            [
                ([pushed(ONE, 100, 1)], []),
                ([Emptied(ONE.id, 2)], [RETIRED]),
                ([pushed(TWO, 105, 3)], []),
            ],
            200,
            (105, 0),
        ),
        # it has an earlier time
        (
            [
                ([pushed(ONE, 100, 1)], []),
                ([Emptied(ONE.id, 2)], [RETIRED]),
                ([pushed(TWO, 95, 3)], []),
            ],
            101,
            (95, 1),
        ),
        # a push that the retirement did not see
        (
            [
                ([pushed(ONE, 100, 1), pushed(TWO, 90, 1)], []),
                ([Emptied(ONE.id, 2)], [RETIRED]),
            ],
            95,
            (90, 1),
        ),
        # retired for good
        (
            [
                ([pushed(ONE, 100, 1)], []),
                ([Emptied(ONE.id, 2)], [RETIRED]),
            ],
            101,
            None,
        ),
    ],
)
def test_a_retired_job_is_known_by_what_came_later(
    commits: list[Commit],
    now: int,
    expected: tuple[int, int] | None,
    at_once: bool,
) -> None:
    view = view_of(commits, now, at_once=at_once)
    assert known(view.jobs.get("pods")) == expected
    # As a view that reads all anew.
    view.follow(view.standings.policies)
    assert known(view.jobs.get("pods")) == expected
