"""Problems are told with the lines in which they stand."""

from __future__ import annotations

import pytest
from builders import key_of
from hypothesis import assume, given
from hypothesis import strategies as st

from pushrelay.config import Limits
from pushrelay.errors import (
    InconsistentPush,
    InvalidLabels,
    LimitExceeded,
    ParseError,
)
from pushrelay.exposition.text_locations import locate, parse_text_with_lines
from pushrelay.exposition.text_parser import parse_text
from pushrelay.problems import Problem
from pushrelay.soundness import check_alone

KEY = key_of("a")
LIMITS = Limits(labels=3, series=6)


def problems_of(body: bytes) -> list[Problem]:
    families = parse_text(body, KEY, Limits(), utf8_names=True)
    try:
        check_alone(families, KEY)
    except InconsistentPush as refusal:
        return refusal.problems
    return []


def located(body: bytes) -> list[Problem]:
    return locate(problems_of(body), body, KEY, Limits(), utf8_names=True)


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("x 1\nx 2", [(2, 1)]),
        ("x 1\ny 1\n\n# x\nx 2\nx 3", [(5, 1), (6, 1)]),
        ('x{a="1"} 1\nx{a="2"} 1\n x { a = "1" , } 1', [(3, 1)]),
        ('x{a="\\"\\n\\\\"} 1\nx{a="\\"\\n\\\\"} 2', [(2, 1)]),
        ('{"x.y",a="é"} 1\n{a="é","x.y"} 2', [(2, 1)]),
        # The job of the group wins, so that these are one.
        ('x{job="1"} 1\nx{job="2"} 1', [(2, 1)]),
        (
            "# TYPE h histogram\nh_sum 1\nh_count 1\n"
            'h_bucket{le="1",job="b"} 1\nh_sum{job="b"} 1',
            [(4, 2)],
        ),
        ('y 1\nx{__l="1"} 1\nx{__l="1"} 1', [(2, None), (3, None), (3, 2)]),
        ("y 1\n# HELP pushrelay_x .\npushrelay_x 1", [(3, None)]),
        ("# TYPE pushrelay_x gauge\n# HELP pushrelay_x .\npushrelay_x 1", [(1, None)]),
        ("x 1\ny 2 5\nx 2 5", [(2, None)]),
    ],
)
def test_each_problem_has_its_line(
    body: str, lines: list[tuple[int, int | None]]
) -> None:
    found = located(f"{body}\n".encode())
    assert [(problem.line, problem.first_line) for problem in found] == lines


def test_nothing_else_of_a_problem_changes() -> None:
    body = b"x 1\nx 2\n"
    (before,), (after,) = problems_of(body), located(body)
    assert before.members() | {"line": 2, "first_line": 1} == after.members()


@pytest.mark.parametrize(
    ("series", "line"),
    [
        ('h_bucket{instance="",job="a",le="1"}', 2),
        ('h_count{instance="",job="a"}', 2),
        ('h_sum{instance="",job="a",l="1"}', 4),
    ],
)
def test_a_series_of_a_histogram_stands_where_its_metric_begins(
    series: str, line: int
) -> None:
    body = b'# TYPE h histogram\nh_bucket{le="1"} 1\nh_count 1\nh_sum{l="1"} 1\n'
    problem = Problem("duplicate", "", family="h", series=series, other_group="{}")
    (found,) = locate([problem], body, KEY, Limits())
    assert (found.line, found.first_line) == (line, None)


def test_a_series_that_two_other_groups_hold_stands_where_it_stands() -> None:
    problems = [
        Problem(
            "duplicate",
            "",
            family="x",
            series='x{instance="",job="a"}',
            other_group=other,
        )
        for other in ("{}", "{{}}")
    ]
    found = locate(problems, b"y 1\nx 1\n", KEY, Limits())
    assert [problem.line for problem in found] == [2, 2]


def test_what_stands_nowhere_has_no_line() -> None:
    body = "\n".join(["x 1"] * 100 + [""]).encode()
    assert [problem.line for problem in located(body)] == [*range(2, 22), None]


LINES = st.sampled_from(
    [
        "x 1",
        "x  1 ",
        'x{l="1"} 2',
        'x{l="1",} 3',
        'x{job="b",l="1"} 3',
        'x{__l="1"} 3',
        'x{__l="1",job="b"} 4',
        '{"x",l="1"} 3',
        '{"y.z"} 1',
        '{"y.z",__l="\\n"} 1',
        "# TYPE h histogram",
        "# TYPE x counter",
        'h_bucket{le="1"} 1',
        'h_bucket{le="1",job="b"} 1',
        "h_sum 1",
        'h_sum{job="c"} 1',
        'h_count{__l="1"} 1',
        "# a remark",
        "",
        "\t",
    ]
)


@given(st.lists(LINES, max_size=12))
def test_a_problem_is_there_from_its_line_on(lines: list[str]) -> None:
    ended = [f"{line}\n".encode() for line in lines]
    try:
        found = located(b"".join(ended))
    except ParseError:
        assume(False)
    assert None not in [problem.line for problem in found]
    for count in range(len(ended) + 1):
        in_time = [p.detail for p in found if p.line is not None and p.line <= count]
        assert in_time == [p.detail for p in problems_of(b"".join(ended[:count]))]


@pytest.mark.parametrize(
    ("body", "lines"),
    [
        ("", {}),
        ("x 1\ny 1\nx 2", {"x": 1, "y": 2}),
        ("# HELP x .\n# TYPE x gauge\nx 1", {"x": 2}),
        ("# TYPE x gauge\n# HELP x .\nx 1", {"x": 1}),
        ("# HELP x .\n\nx 1", {"x": 3}),
        ('# TYPE x summary\nx_sum 1\nx_count 1\ny{l="1"} 1', {"x": 1, "y": 4}),
    ],
)
def test_a_family_stands_where_its_type_is_settled(
    body: str, lines: dict[str, int]
) -> None:
    families, found = parse_text_with_lines(f"{body}\n".encode(), KEY, Limits())
    assert found == lines
    assert families == parse_text(f"{body}\n".encode(), KEY, Limits())


@pytest.mark.parametrize(
    ("body", "error", "line"),
    [
        ("x 1\nx\n", ParseError, 2),
        ("x 1\nx 1", ParseError, 2),
        ("x 1\n" * 6 + "\nx 1\nx 1\n", LimitExceeded, 8),
        ('\nx{a="",b="",c="",d=""} 1\nx 1\n', LimitExceeded, 2),
        ('\nx{a="",b="",c="",d="",e=""} 1', LimitExceeded, 2),
        ('x 1\nx{"a.b"="",a_b=""} 1\n', InvalidLabels, 2),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(
    body: str, error: type[ParseError | LimitExceeded | InvalidLabels], line: int
) -> None:
    with pytest.raises(error) as raised:
        parse_text_with_lines(body.encode(), KEY, LIMITS, utf8_names=True)
    assert raised.value.line == line
