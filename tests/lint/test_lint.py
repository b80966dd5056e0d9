from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.config import Limits
from pushrelay.lint import Severity, lint


def found(
    body: str | bytes, *, utf8_names: bool = False
) -> list[tuple[int | None, str, str]]:
    """Return lines, severities and reasons of the findings but for missing help."""
    body = body if isinstance(body, bytes) else f"{body}\n".encode()
    return [
        (problem.line, severity.value, problem.reason)
        for severity, problem in lint(body, utf8_names=utf8_names)
        if not problem.detail.endswith("no help text")
    ]


@pytest.mark.parametrize(
    ("body", "findings"),
    [
        (b"", []),
        ("x 1", []),
        ("x 1\nx", [(2, "error", "invalid_body")]),
        (b"x 1", [(1, "error", "invalid_body")]),
        ("x 1\nx 2", [(2, "error", "duplicate")]),
        ('x{job="1"} 1\nx{job="2"} 2', [(2, "error", "duplicate")]),
        ('y 1\nx{__l="1"} 1', [(2, "error", "label")]),
        ("y 1\npushrelay_x 1", [(2, "error", "reserved_name")]),
        ("y 1\nx 1 5\ny 2", [(2, "error", "timestamps")]),
        ("# TYPE process_open_fds counter\nprocess_open_fds_x 1", []),
        ("y 1\n# TYPE process_open_fds gauge\nprocess_open_fds 1", []),
        (
            "y 1\n# TYPE process_open_fds summary\nprocess_open_fds_sum 1",
            [(2, "error", "type")],
        ),
        (
            "x_count 1\n# TYPE x summary\nx 1",
            [(1, "error", "suffix"), (2, "error", "suffix")],
        ),
        # The push times are the relay's to keep, whatever a push says of them.
        ("push_time_seconds 1\npush_time_seconds 1", []),
        (
            "y 1\nx{" + ",".join(f'l{n}=""' for n in range(257)) + "} 1",
            [(2, "error", "limit")],
        ),
        (f'y 1\nx{{l="{"x" * 65537}"}} 1', [(2, "error", "limit")]),
        ("x_ms 1\ny 1\nx 1\ny 2", [(1, "warning", "lint"), (4, "error", "duplicate")]),
        ('y 1\n{"x.y"} 1', [(2, "error", "invalid_body")]),
    ],
)
def test_findings_come_with_their_lines(
    body: str | bytes, findings: list[tuple[int | None, str, str]]
) -> None:
    assert found(body) == findings


def test_utf8_names_may_be_taken() -> None:
    assert found('{"x.y",l="1"} 1', utf8_names=True) == []
    ambiguous = 'y 1\nx{"a.b"="",a_b=""} 1'
    assert found(ambiguous, utf8_names=True) == [(2, "error", "label")]


def test_a_body_that_no_relay_takes_is_not_read() -> None:
    assert found(b"\n" * (Limits().body_bytes + 1)) == [(None, "error", "limit")]


def test_what_is_not_listed_comes_last() -> None:
    findings = found("\n".join(["x 1"] * 100 + ["y_ms 1"]))
    assert len(findings) == 22
    assert findings[-2:] == [(101, "warning", "lint"), (None, "error", "further")]


PIECES = [
    *["x 1", "x_ms 1", 'x{l="1"} 1', 'x{job="1"} 1', "x 1 5", "x", "# TYPE x counter"],
    *["# TYPE h histogram", 'h_bucket{le="1"} 1', "h_count 1", '{"y.z"} 1', "", "\xff"],
]


@given(st.lists(st.sampled_from(PIECES), max_size=10) | st.lists(st.text(max_size=20)))
def test_every_finding_is_in_a_line_of_the_body(pieces: list[str]) -> None:
    body = "".join(f"{piece}\n" for piece in pieces)
    for _, problem in lint(body.encode(errors="replace")):
        assert problem.line is not None
        assert 1 <= problem.line <= body.count("\n")


def test_severities_are_the_words_that_are_printed() -> None:
    assert [severity.value for severity in Severity] == ["error", "warning"]
