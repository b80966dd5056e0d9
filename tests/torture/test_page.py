"""What is read from a page, and what is seen to be wrong with it by itself."""

from __future__ import annotations

import pytest
from torture.page import read_page, without_own

PAGE = """# HELP contested_1 Text.
# TYPE contested_1 gauge
contested_1{instance="c1.3",job="contests"} 1.2e+06
# TYPE push_time_seconds gauge
push_time_seconds{instance="c1.3",job="contests"} 1.7e+09
# TYPE pushrelay_job_runs_total counter
pushrelay_job_runs_total{instance="c1",job="runs",outcome="failure"} 0
pushrelay_job_runs_total{instance="c1",job="runs",outcome="success"} 3
# TYPE pushrelay_store_revision gauge
pushrelay_store_revision 17
# TYPE pushrelay_store_up gauge
pushrelay_store_up 1
# TYPE torture_added_bytes histogram
torture_added_bytes_bucket{client="all",instance="0",job="sums",le="+Inf"} 5
torture_added_bytes_sum{client="all",instance="0",job="sums"} 5
torture_added_bytes_count{client="all",instance="0",job="sums"} 5
torture_added_bytes_bucket{client="c1",instance="0",job="sums",le="+Inf"} 5
torture_added_bytes_sum{client="c1",instance="0",job="sums"} 5
torture_added_bytes_count{client="c1",instance="0",job="sums"} 5
# TYPE torture_seconds summary
torture_seconds_sum{instance="c1.1",job="groups"} 7
torture_seconds_count{instance="c1.1",job="groups"} 7
"""


def test_a_page_is_read_cell_by_cell() -> None:
    page = read_page(PAGE)
    assert page.cells == {
        "contests c1.3": (("contested_1 gauge", "1200000"),),
        "groups c1.1": (("torture_seconds summary", "7"),),
        "runs c1": (("pushrelay_job_runs_total counter", "3"),),
        "sums 0 all": (("torture_added_bytes histogram", "5"),),
        "sums 0 c1": (("torture_added_bytes histogram", "5"),),
    }
    assert page.problems == []
    assert (page.is_up, page.revision) == (True, 17)


def test_a_page_without_own_metrics_says_neither_revision_nor_state() -> None:
    text = without_own(PAGE)
    assert text == PAGE.replace(
        "# TYPE pushrelay_store_revision gauge\npushrelay_store_revision 17\n"
        "# TYPE pushrelay_store_up gauge\npushrelay_store_up 1\n",
        "",
    )
    page = read_page(text)
    assert (page.is_up, page.revision) == (None, None)


def test_an_outage_is_read() -> None:
    assert read_page("pushrelay_store_up 0\n").is_up is False


@pytest.mark.parametrize(
    ("line", "changed", "value"),
    [
        ('torture_seconds_sum{instance="c1.1",job="groups"} 7\n', "", "7 in 1 of 2"),
        ('job="groups"} 7\n', 'job="groups"} 8\n', "8"),
        (
            '_sum{instance="c1.1",job="groups"} 7',
            '_sum{instance="c1.1",job="groups"} 9',
            "7|9",
        ),
    ],
    ids=["a sample is missing", "all are another", "one is another"],
)
def test_all_samples_of_a_family_count(line: str, changed: str, value: str) -> None:
    [(family, told)] = read_page(PAGE.replace(line, changed)).cells["groups c1.1"]
    assert family == "torture_seconds summary"
    assert told.removesuffix(" samples") == value


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ("# TYPE contested_1 counter\n", "two types: contested_1 is gauge"),
        (
            'contested_1{instance="c1.3",job="contests"} 2\n',
            'twice on one page: contested_1{instance="c1.3",job="contests"}',
        ),
        ("nonsense\n", "no sample: 'nonsense'"),
    ],
)
def test_what_is_wrong_with_a_page_is_told(more: str, problem: str) -> None:
    [told] = read_page(PAGE + more).problems
    assert told.startswith(problem)


def test_sums_that_are_not_those_of_their_shares_are_told() -> None:
    doubled = PAGE.replace(
        'client="c1",instance="0",job="sums"} 5',
        'client="c1",instance="0",job="sums"} 10',
    ).replace(
        'client="c1",instance="0",job="sums",le="+Inf"} 5',
        'client="c1",instance="0",job="sums",le="+Inf"} 10',
    )
    [told] = read_page(doubled).problems
    assert told.startswith("sum: ")
    assert "5 more" in told
