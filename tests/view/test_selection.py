from __future__ import annotations

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
from builders import group_of, key_of
from compat.exposition_page import read_page
from compat.metric_messages import read_delimited

from pushrelay.changes import Changes, Position
from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.negotiation import FormatKind, ScrapeFormat
from pushrelay.freshness import Policy
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.model import Metric, MetricFamily, MetricType
from pushrelay.policies import Policies
from pushrelay.selector_parser import parse_selector
from pushrelay.view.exposition import Exposition
from pushrelay.view.selection import select
from pushrelay.view.view import View

BODY = """\
# HELP c Counted.
# TYPE c counter
c{z="1"} 1e+06
c{z="2"} 2
# HELP g A gauge.
# TYPE g gauge
g 1
# TYPE h histogram
h_bucket{le="0.1"} 1
h_bucket{le="+Inf"} 3
h_sum 4.5
h_count 3
# TYPE s summary
s{quantile="0.5"} 1
s_sum 2
s_count 2
{"metric.é","label.🦆"="v"} 1"""
JOBS = ["a", "ab", "b", "c", "stale"]
NOW = 1000
TEXT = ScrapeFormat(FormatKind.TEXT, Escaping.UNDERSCORES)
OWN = [MetricFamily("own", MetricType.GAUGE, "", [Metric((), 1.0)])]


class Rules(Policies):
    """Groups of the job `stale` go stale; those of `pods` are forgotten then."""

    def policy_of(self, key: GroupingKey, stale_after: int | None) -> Policy | None:
        job = key.labels[0][1]
        if job not in ("stale", "pods"):
            return None
        return Policy(stale_after=100, forgets_when_stale=job == "pods")


def view_of(*groups: Group) -> View:
    view = View(Rules())
    view.apply(Changes(None, Position(1, b""), list(groups)))
    while view.is_due(NOW):
        view.advance(NOW)
    return view


def page(
    view: View, *selectors: str, format_: ScrapeFormat = TEXT
) -> tuple[bytes, bytes]:
    """Return the part of the page that is chosen, plain and unpacked."""
    wanted = [parse_selector(text) for text in selectors]
    part = Exposition(view.snapshot(), OWN, format_).only(wanted)
    return b"".join(part.chunks()), gzip.decompress(b"".join(part.gzip_chunks()))


def text(view: View, *selectors: str) -> str:
    return page(view, *selectors)[0].decode()


def some_groups() -> list[Group]:
    return [
        group_of(BODY, key, pushed_at=1)
        for job in JOBS
        for key in (key_of(job), key_of(job, instance="i"))
    ]


SELECTED = [
    (['{job="a"}'], {"a"}),
    (['{job=~"a.*"}'], {"a", "ab"}),
    (['{job="c"}', '{job="stale"}'], {"c", "stale"}),
    (['{job!~"a|b"}'], {"ab", "c", "stale"}),
    (["{}"], set(JOBS)),
    (['{job="nobody"}'], set()),
]


@pytest.mark.parametrize(("selectors", "jobs"), SELECTED)
@pytest.mark.parametrize("escaping", Escaping)
@pytest.mark.parametrize("kind", FormatKind)
def test_a_part_is_the_page_of_a_store_that_has_nothing_else(
    kind: FormatKind, escaping: Escaping, selectors: list[str], jobs: set[str]
) -> None:
    format_ = ScrapeFormat(kind, escaping)
    chosen = [g for g in some_groups() if dict(g.key.labels)["job"] in jobs]
    alone = Exposition(view_of(*chosen).snapshot(), (), format_)
    plain, unpacked = page(view_of(*some_groups()), *selectors, format_=format_)
    assert plain == unpacked == b"".join(alone.chunks())


@pytest.mark.parametrize(("selectors", "jobs"), SELECTED)
def test_a_part_is_the_page_without_the_lines_of_others(
    selectors: list[str], jobs: set[str]
) -> None:
    view = view_of(*some_groups())
    whole = b"".join(Exposition(view.snapshot(), OWN, TEXT).chunks()).decode()
    kept = [s for s in read_page(whole) if dict(s.labels).get("job") in jobs]
    assert list(read_page(text(view, *selectors))) == kept


@pytest.mark.parametrize(("selectors", "jobs"), SELECTED)
def test_a_part_has_the_messages_of_the_page_without_those_of_others(
    selectors: list[str], jobs: set[str]
) -> None:
    view = view_of(*some_groups())
    format_ = ScrapeFormat(FormatKind.PROTOBUF_DELIMITED, Escaping.ALLOW_UTF8)
    whole = b"".join(Exposition(view.snapshot(), OWN, format_).chunks())
    assert list(read_delimited(page(view, *selectors, format_=format_)[0])) == list(
        messages_of(whole, jobs)
    )


def messages_of(whole: bytes, jobs: set[str]) -> Iterator[Any]:
    """Yield the families of a page with nothing but the metrics of `jobs`."""
    for family in read_delimited(whole):
        kept = [
            metric
            for metric in family.metric
            if any(
                label.name == "job" and label.value in jobs for label in metric.label
            )
        ]
        del family.metric[:]
        family.metric.extend(kept)
        if kept:
            yield family


def test_groups_are_whole_and_nothing_else_is_there() -> None:
    view = view_of(group_of("x 1", key_of("a")), group_of("x 2\ny 3", key_of("b")))
    assert text(view, '{job="b"}') == (
        "# HELP push_failure_time_seconds Last Unix time when changing this group in"
        " the Pushgateway failed.\n"
        "# TYPE push_failure_time_seconds gauge\n"
        'push_failure_time_seconds{instance="",job="b"} 0\n'
        "# HELP push_time_seconds Last Unix time when changing this group in the"
        " Pushgateway succeeded.\n"
        "# TYPE push_time_seconds gauge\n"
        'push_time_seconds{instance="",job="b"} 1\n'
        "# TYPE x untyped\n"
        'x{instance="",job="b"} 2\n'
        "# TYPE y untyped\n"
        'y{instance="",job="b"} 3\n'
    )


def test_what_is_stale_is_withheld_from_a_part_and_its_evidence_is_not() -> None:
    body = "x 1\n# TYPE x_timestamp_seconds gauge\nx_timestamp_seconds 2"
    stale = group_of(body, key_of("stale"), pushed_at=1)
    lines = text(view_of(stale), '{job="stale"}').splitlines()
    shown = {line.partition("{")[0] for line in lines if not line.startswith("#")}
    assert shown == {
        "push_failure_time_seconds",
        "push_time_seconds",
        "pushrelay_group_stale",
        "pushrelay_group_stale_timestamp_seconds",
        "x_timestamp_seconds",
    }


@pytest.mark.parametrize(
    ("selector", "is_shown"),
    [
        ('{job="pods"}', True),
        ('{job=~"p.*"}', True),
        ("{}", True),
        ('{job="pods",instance=""}', True),
        ('{job="pods",instance="1"}', False),
        ('{instance=~".+"}', False),
        ('{job="a"}', False),
    ],
)
def test_the_evidence_of_a_job_is_shown_if_the_job_itself_is_chosen(
    selector: str, is_shown: bool
) -> None:
    pods = [
        group_of("x 1", key_of("pods", instance="1"), pushed_at=NOW),
        group_of("x 1", key_of("pods", instance="2"), pushed_at=1),  # forgotten
    ]
    page = text(view_of(group_of("x 1"), *pods), selector)
    assert ('pushrelay_job_groups{instance="",job="pods"} 1\n' in page) is is_shown
    assert ("pushrelay_job_last_push_timestamp_seconds{" in page) is is_shown
    assert 'instance="2"' not in page


def test_a_family_has_the_same_help_in_a_part_as_in_the_page() -> None:
    groups = [
        group_of("# HELP x Usual.\nx 1", key_of("a")),
        group_of("# HELP x Usual.\nx 1", key_of("b")),
        group_of("# HELP x Unusual.\nx 1", key_of("c")),
    ]
    assert "# HELP x Usual.\n" in text(view_of(*groups), '{job="c"}')


def test_a_part_knows_its_size() -> None:
    body = "\n".join(f'x{{l="{number}"}} 1' for number in range(100))
    view = view_of(group_of(body, key_of("a")), group_of("x 1", key_of("b")))
    small, large = (
        select(view.snapshot(), [parse_selector(f'{{job="{job}"}}')]) for job in "ba"
    )
    assert (small.groups, small.series) == (1, 3)
    assert (large.groups, large.series) == (1, 102)
    assert small.size < 500 < large.size < view.snapshot().size


def test_a_part_is_of_the_state_that_was_asked() -> None:
    view = view_of(group_of("x 1"))
    exposition = Exposition(view.snapshot(), (), TEXT)
    view.apply(Changes(view.position, Position(2, b""), [group_of("x 2", revision=2)]))
    part = exposition.only([parse_selector("{}")])
    assert b'x{instance="",job="a"} 1\n' in b"".join(part.chunks())
