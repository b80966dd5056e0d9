"""The page of a group: what was pushed under its key, and until when it is fresh."""

from __future__ import annotations

import re

import pytest
from builders import key_of
from compat.metric_messages import HEADERS, HISTOGRAM, delimited, family
from pages_use import HOUR, MARKUP, Told, links_on, reader, words_of

from pushrelay.recent_rejections import RecentRejections
from pushrelay.rights import Right
from pushrelay.web.pages.keys import written_key


def page_of(told: Told, job: str, **labels: str) -> str:
    return told.page("group", key=written_key(key_of(job, **labels)))


def test_its_labels_and_times_are_told(told: Told, job: str) -> None:
    told.push(f"job/{job}/zone/a/x@base64/Lw")
    told.clock.go(HOUR)
    html = page_of(told, job, zone="a", x="/")
    said = words_of(html)
    assert f'job="{job}" x="/" zone="a"' in said
    assert re.search(r"Last push 2026-\S+ \S+ UTC 1 h ago", said)
    assert "Goes stale never Holds 1 family with 1 series" in said
    assert f"PUT metrics/job/{job}/x@base64/Lw/zone/a" in said
    assert links_on(html, "job") == [f"./job?job={job}&instance="]


def test_when_it_goes_stale_and_is_forgotten_is_told(told: Told, job: str) -> None:
    told.push(f"job/{job}?stale_after=2h")
    said = words_of(page_of(told, job))
    assert "Fresh for 2 h after a push Goes stale 2026" in said
    told.clock.go(3 * HOUR)
    said = words_of(page_of(told, job))
    assert "Stale since 2026" in said
    assert "Scrapes do not show any of it" in said
    assert "untyped; stale: not shown to scrapers" in said


def test_of_a_group_in_parts_fresh_the_rest_is_told(told: Told, job: str) -> None:
    told.push(f"job/{job}?stale_after=2h", "x 1\ny 1\n")
    told.clock.go(HOUR)
    answer = told.relay.post(f"/metrics/job/{job}?stale_after=2h", "y 2\n")
    assert answer.status == 200
    told.clock.go(HOUR)
    assert "Scrapes do not show 1 of its families" in words_of(page_of(told, job))


def test_a_refused_push_is_told_with_the_reason(told: Told, job: str) -> None:
    told.push(f"job/{job}")
    told.clock.go(1)
    told.push(f"job/{job}", "# TYPE x gauge\nx 1 1000\n", 400)
    html = page_of(told, job)
    assert "and none was accepted since" in words_of(html)
    assert "must not have timestamps" in words_of(html)
    told.clock.go(1)
    told.push(f"job/{job}")
    assert "refused" not in words_of(page_of(told, job)).replace("Last refused", "")


def test_a_reason_that_nobody_remembers_is_not_told(
    told: Told, job: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told.push(f"job/{job}")
    told.clock.go(1)
    told.push(f"job/{job}", "x 1 1000\n", 400)
    monkeypatch.setattr(told.relay.relay, "rejections", RecentRejections())
    html = page_of(told, job)
    assert "A push was refused" in words_of(html)
    assert 'class="reason"' not in html


def test_a_reason_tells_nothing_of_groups_of_others(told: Told, job: str) -> None:
    told.push("job/secret", "# TYPE shared counter\nshared 1\n")
    told.push(f"job/{job}", "# TYPE shared gauge\nshared 1\n", 400)
    key = written_key(key_of(job))
    theirs = told.page_for(reader(f'{{job="{job}"}}'), "group", key=key)
    assert "secret" not in theirs
    assert 'class="reason"' in theirs
    assert "secret" in told.page("group", key=key)


def test_a_group_of_which_nothing_was_accepted_is_empty(told: Told, job: str) -> None:
    told.push(f"job/{job}", "x 1 1000\n", 400)
    said = words_of(page_of(told, job))
    assert "Nothing: no push was accepted." in said
    assert "Last push never" in said


# --- families ---

TEXT = """\
# HELP rows Rows that were written.
# TYPE rows counter
rows{table="a"} 5
rows{table="b"} 1.5e+09
# TYPE done_timestamp_seconds gauge
done_timestamp_seconds 1.7953788e+09
# TYPE took summary
took{quantile="0.5"} 0.25
took_sum 7
took_count 12
"""


def test_families_are_told_with_help_type_and_values(told: Told, job: str) -> None:
    told.push(f"job/{job}/instance/db1", TEXT)
    said = words_of(page_of(told, job, instance="db1"))
    assert "rows counter, 2 series Rows that were written." in said
    assert 'table="a" 5 table="b" 1.5e+09' in said
    assert "done_timestamp_seconds 2026-11-22 20:20:00 UTC 1.7953788e+09 gauge" in said
    assert 'quantile="0.5" 0.25 count 12 sum 7' in said


CLASSIC = """\
# TYPE h histogram
h_bucket{le="0.5"} 3
h_bucket{le="1"} 7
h_bucket{le="+Inf"} 8
h_sum 6
h_count 8
"""


def test_classic_histograms_are_drawn(told: Told, job: str) -> None:
    told.push(f"job/{job}", CLASSIC)
    said = words_of(page_of(told, job))
    assert "count 8, sum 6, mean 0.75" in said
    assert "h: 8 observations in 3 buckets" in said
    assert "up to 0.5 3 0.5 to 1 4 more than 1 1" in said


def test_a_classic_histogram_may_lack_its_last_bucket(told: Told, job: str) -> None:
    message = family(
        "h",
        HISTOGRAM,
        {
            "histogram": {
                "sample_count": 8,
                "sample_sum": 6,
                "bucket": [{"upper_bound": 1, "cumulative_count": 7}],
            }
        },
    )
    target = f"/metrics/job/{job}"
    assert told.relay.put(target, delimited(message), HEADERS).status == 200
    assert "up to 1 7 more than 1 1" in words_of(page_of(told, job))


def test_native_histograms_are_drawn(told: Told, job: str) -> None:
    value = {
        **{"sample_count": 9, "sample_sum": 20, "schema": 0},
        **{"zero_threshold": 0.001, "zero_count": 2},
        "positive_span": [{"offset": 0, "length": 2}],
        "positive_delta": [3, 1],
    }
    message = family("h", HISTOGRAM, {"histogram": value})
    target = f"/metrics/job/{job}"
    assert told.relay.put(target, delimited(message), HEADERS).status == 200
    said = words_of(page_of(told, job))
    assert "count 9, sum 20" in said
    assert "h: 9 observations in 3 buckets" in said
    assert "-0.001 to 0.001 2 0.5 to 1 3 1 to 2 4" in said


def test_of_many_buckets_a_table_joins_neighbours(told: Told, job: str) -> None:
    lines = [f'h_bucket{{le="{n}"}} {n}' for n in range(1, 101)]
    tail = ['h_bucket{le="+Inf"} 100', "h_sum 1", "h_count 100", ""]
    told.push(f"job/{job}", "\n".join(["# TYPE h histogram", *lines, *tail]))
    said = words_of(page_of(told, job))
    assert "up to 4 4 4 to 8 4" in said


def test_what_is_too_much_is_cut_and_said_to_be(told: Told, job: str) -> None:
    series = "".join(f'x{{n="{n}"}} 1\n' for n in range(30))
    told.push(f"job/{job}", series + "".join(f"y{n} 1\n" for n in range(220)))
    html = page_of(told, job)
    assert "10 more series are at" in words_of(html)
    assert "The others are at" in words_of(html)
    assert html.count('<section class="family">') == 200


def test_a_very_large_family_is_shown_as_text(told: Told, job: str) -> None:
    told.push(f"job/{job}", "".join(f'x{{n="{n}"}} 1\n' for n in range(10_000)))
    html = page_of(told, job)
    assert len(html) < 50_000
    assert f'x{{instance="",job="{job}",n="0"}} 1' in words_of(html)
    assert "The rest is at" in words_of(html)


def test_nothing_pushed_is_markup(told: Told) -> None:
    key = key_of(MARKUP, l=MARKUP)
    value = MARKUP.replace('"', r"\"")
    text = f'# HELP m {MARKUP}\n# TYPE m gauge\nm{{m="{value}"}} 1\nm 2\n'
    told.push(key.path, text)
    html = page_of(told, MARKUP, l=MARKUP)
    assert html.count("<script") == html.count("</script>") == 1
    assert "m=&#34;&lt;script&gt;" in html


# --- who may see what ---


def test_what_is_not_theirs_is_not_found_as_what_is_not_there(
    told: Told, job: str
) -> None:
    told.push(f"job/{job}")
    mine = reader('{job="other"}')
    theirs = told.page_for(mine, "group", 404, key=written_key(key_of(job)))
    unknown = told.page_for(mine, "group", 404, key=written_key(key_of("nothing")))
    assert theirs == unknown
    assert "no such group is known" in theirs


@pytest.mark.parametrize("key", ["", "x", "!", "am9i_w"])
def test_what_is_no_key_is_refused(told: Told, key: str) -> None:
    assert "follow a link" in told.page("group", 400, key=key)


@pytest.mark.parametrize(
    ("right", "offered"), [(Right.ADMIN, True), (Right.PUSH, True), (Right.READ, False)]
)
def test_only_who_may_delete_is_offered_to(
    told: Told, job: str, right: Right, offered: bool
) -> None:
    told.push(f"job/{job}")
    key = written_key(key_of(job))
    html = told.page_for(reader(f'{{job="{job}"}}', right), "group", key=key)
    assert links_on(html, "delete") == ([f"./delete?key={key}"] if offered else [])


@pytest.mark.parametrize(
    ("right", "match", "offered"),
    [
        (Right.ADMIN, "{{job={job}}}", True),
        # Not for all groups that the job could have.
        (Right.ADMIN, '{{job={job},l=""}}', False),
        (Right.PUSH, "{{job={job}}}", False),
    ],
)
def test_the_job_is_managed_from_here_by_who_may(
    told: Told, job: str, right: Right, match: str, offered: bool
) -> None:
    told.push(f"job/{job}")
    visitor = reader(match.format(job=f'"{job}"'), right)

    def offers(action: str) -> list[str]:
        html = told.page_for(visitor, "group", key=written_key(key_of(job)))
        return links_on(html, action)

    assert offers("retire") == ([f"./retire?job={job}"] if offered else [])
    # What only pushes has nothing to pause.
    assert offers("pause") == []
    told.ended(job)
    assert offers("pause") == ([f"./pause?job={job}"] if offered else [])
