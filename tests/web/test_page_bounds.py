"""What pages cost, whatever was pushed and whatever is asked: all are made on one
thread, which nobody may keep for long."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from time import monotonic
from urllib.parse import urlencode

import pytest
from builders import key_of
from compat.metric_messages import HEADERS, HISTOGRAM, delimited, family
from pages_use import Told, links_on, told_relay, words_of

from pushrelay.web.pages.keys import written_key

PAGE_BYTES = 1024 * 1024
FORM = {
    "Content-Type": "application/x-www-form-urlencoded",
    "Accept": "text/html",
}

LONG_LABEL = "<&>" * 100


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with told_relay(tmp_path) as found:
        yield found


def _gauges(families: int, series: int, label: str = "") -> str:
    return "".join(
        f"# HELP f{n} {LONG_LABEL * 6}\n# TYPE f{n} gauge\n"
        + "".join([f'f{n}{{a="{i}{label}"}} {i}\n' for i in range(series)])
        for n in range(families)
    )


def _classic() -> str:
    buckets = [*range(45), "+Inf"]
    return "".join(
        f"# TYPE h{n} histogram\n"
        + "".join(
            "".join([f'h{n}_bucket{{a="{i}",le="{le}"}} 9\n' for le in buckets])
            + f'h{n}_sum{{a="{i}"}} 1\nh{n}_count{{a="{i}"}} 9\n'
            for i in range(20)
        )
        for n in range(60)
    )


def _native() -> bytes:
    histogram = {
        "sample_count": 100,
        "sample_sum": 1.0,
        "schema": 5,
        "positive_span": [{"offset": 0, "length": 100}],
        "positive_delta": [1] + 99 * [0],
    }
    return delimited(
        *[
            family(
                f"n{n}",
                HISTOGRAM,
                *[
                    {"label": [{"name": "a", "value": f"{i}"}], "histogram": histogram}
                    for i in range(20)
                ],
            )
            for n in range(60)
        ]
    )


@pytest.mark.parametrize(
    "body",
    [_gauges(100, 20, LONG_LABEL), _gauges(60, 1500), _classic(), _native()],
    ids=["long labels", "many series", "classic histograms", "native histograms"],
)
def test_a_page_of_what_was_pushed_stays_small(told: Told, body: str | bytes) -> None:
    headers = HEADERS if isinstance(body, bytes) else None
    answer = told.relay.put("/metrics/job/large", body, headers)
    assert answer.status == 200, answer.text
    page = told.page("group", key=written_key(key_of(job="large")))
    assert len(page.encode()) < PAGE_BYTES
    assert page.count('<section class="family">') >= 60
    assert len(told.page("job", job="large").encode()) < PAGE_BYTES


def test_values_for_which_there_is_no_room_are_counted(told: Told) -> None:
    told.push("job/large", _gauges(100, 20, LONG_LABEL))
    said = words_of(told.page("group", key=written_key(key_of(job="large"))))
    assert "f99 gauge, 20 series 20 series are at /metrics" in said


def test_a_page_of_groups_with_long_keys_stays_small(told: Told) -> None:
    for number in range(12):
        told.push(f"job/j/zone/{number}{'z' * 60_000}")
    assert len(told.page("groups").encode()) < PAGE_BYTES


@pytest.mark.parametrize("page", ["", "groups"])
@pytest.mark.parametrize("search", ["a" * 5001, "{job=" + '"' * 5001])
def test_a_search_that_is_too_long_is_refused(
    told: Told, page: str, search: str
) -> None:
    told.push("job/a")
    html = told.page(page, 400, search=search)
    assert "the search has more than 5,000 characters" in words_of(html)
    assert len(html) < 10_000


SLOW = ",".join([f'zone!~"(.*<.*){{{50 + n}}}x"' for n in range(4)])


def test_a_regular_expression_that_takes_long_is_given_up(told: Told) -> None:
    for number in range(60):
        told.push(f"job/j{number}/zone/{'%3C' * 20_000}")
    began = monotonic()
    said = words_of(told.page("groups", search="{" + SLOW + "}"))
    assert "takes longer than 1 s; write a simpler regular expression" in said
    # All of it would take a minute.
    assert monotonic() - began < 15


@pytest.mark.parametrize(
    "address",
    [
        f"/?{urlencode({'state': '<' * 100_000})}",
        f"/groups?{urlencode({'sort': '<' * 100_000})}",
        f"/pause?{urlencode({'job': '<' * 100_000})}",
    ],
    ids=["state", "sort", "job"],
)
def test_an_error_repeats_little_of_what_was_asked(told: Told, address: str) -> None:
    answer = told.relay.get(address)
    assert answer.status in (400, 404)
    assert len(answer.body) < 20_000


def test_the_page_that_a_form_is_refused_with_repeats_little(told: Told) -> None:
    fields = {"revision": "1", "sort": "<" * 100_000}
    answer = told.relay.post("/delete", urlencode(fields), FORM)
    assert answer.status == 400
    assert "<h1>" in answer.text
    assert len(answer.body) < 20_000


def test_pages_of_a_job_do_not_look_at_the_schedule_of_each_instance_again(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.expect("many", schedule="* * * * *", per_instance=True)
    told.ended("many", ago=30, labels={"instance": "i1"})

    def look(*_: object) -> None:
        pytest.fail("that takes a second for 10,000 instances")

    monkeypatch.setattr("pushrelay.view.board.job_state", look)
    for page in ("job", "retire", "pause"):
        assert "many" in told.page(page, job="many")


def test_the_page_of_a_job_with_many_long_labels_stays_small(told: Told) -> None:
    labels = {f"l{number}": "<" * 200 for number in range(50)}
    for number in range(60):
        told.ended("j", number, labels={**labels, "n": f"{number}"})
    path = "".join([f"/{name}/{'%3C' * 200}" for name in labels])
    for number in range(20):
        told.push(f"job/j/n/{number}{path}")
    assert len(told.page("job", job="j").encode()) < PAGE_BYTES


def test_pages_of_jobs_with_long_names_stay_small(told: Told) -> None:
    for number in range(12):
        told.push(f"job/{number}{'%3C' * 60_000}")
    html = told.page("")
    assert len(html.encode()) < PAGE_BYTES
    seen = set()
    while older := re.search(r'rel="next" href="(.*?)"', html):
        seen |= set(links_on(html, "job"))
        html = told.follow(unescape(older[1]))
    assert len(seen | set(links_on(html, "job"))) == 12


def test_pages_of_a_job_with_long_names_of_instances_stay_small(told: Told) -> None:
    for number in range(12):
        told.push(f"job/j/instance/{number}{'%3C' * 60_000}")
    for page in ("job", "retire"):
        assert len(told.page(page, job="j").encode()) < PAGE_BYTES
