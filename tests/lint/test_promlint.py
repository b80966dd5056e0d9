"""The warnings are those of the real `promtool check metrics`."""

from __future__ import annotations

import re
import shutil
import subprocess
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushrelay.lint import Severity, lint

NEWER = 'non-gauge metrics should not have "_timestamp_seconds" suffix'
"""A rule that promtool did not have yet in 2.42."""


def warnings_of(body: str) -> set[str]:
    findings = lint(body.encode())
    return {
        problem.detail for severity, problem in findings if severity is Severity.WARNING
    }


def sample_of(name: str, type_: str, labels: str = "") -> str:
    """Return a family with one metric."""
    suffix = "_count" if type_ in ("summary", "histogram") else ""
    return f"# TYPE {name} {type_}\n{name}{suffix}{labels} 1\n"


@pytest.mark.parametrize(
    ("body", "warnings"),
    [
        ("# HELP x X.\nx 1\n", set()),
        ("x 1\n", {"x no help text"}),
        ("# HELP x\nx 1\n", {"x no help text"}),
        (
            "# HELP x_minutes X.\nx_minutes 1\n",
            {'x_minutes use base unit "seconds" instead of "minutes"'},
        ),
        (
            "# HELP x X.\n# TYPE x counter\nx 1\n",
            {'x counter metrics should have "_total" suffix'},
        ),
        (
            "# HELP x_timestamp_seconds X.\n"
            + sample_of("x_timestamp_seconds", "counter"),
            {
                'x_timestamp_seconds counter metrics should have "_total" suffix',
                f"x_timestamp_seconds {NEWER}",
            },
        ),
        (
            '# HELP x X.\n# TYPE x gauge\nx{le="1"} 1\nx{le="2"} 1\n',
            {'x non-histogram metrics should not have "le" label'},
        ),
    ],
)
def test_warnings(body: str, warnings: set[str]) -> None:
    assert warnings_of(body) == warnings


def test_a_rule_warns_once_for_each_family() -> None:
    body = '# HELP x X.\nx{aB="1"} 1\nx{aB="2"} 2\n'
    assert len(lint(body.encode())) == 1


def promtool(body: str) -> set[str]:
    """Return what promtool prints; it must be able to read `body`."""
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=body.encode(), capture_output=True
    )
    printed = set(done.stderr.decode().splitlines())
    assert done.returncode == (3 if printed else 0), printed
    return printed


def compare(body: str) -> None:
    known = {warning for warning in warnings_of(body) if not warning.endswith(NEWER)}
    assert known == promtool(body)


real = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed"
)

TYPES = ["counter", "gauge", "summary", "histogram", "untyped"]
WORDS = [
    *[
        "total",
        "count",
        "sum",
        "bucket",
        "info",
        "timestamp_seconds",
        "seconds",
        "secs",
    ],
    *["s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"],
    *["minutes", "hours", "days", "weeks", "kelvin", "kelvins", "celsius", "rankine"],
    *["fahrenheit", "inches", "yards", "miles", "meters", "metres", "bits", "bytes"],
    *["calories", "joules", "pounds", "ounces", "grams", "amperes", "volts"],
    *["kilometers", "kilobytes", "mibibytes", "mebibytes", "gibibits", "pebibytes"],
    *["millikelvins", "decagrams", "hectograms", "thermometers", "milliseconds"],
    *["kilokilobytes", "kilo", "counter", "gauge", "summary", "histogram", "untyped"],
    *["gauge_histogram", "GAUGE", "MS", "Bytes", "camelCase", "CAMELcase", "a:b"],
]
NAMES = [name for word in WORDS for name in (word, f"x_{word}", f"x_{word}_y")]


@pytest.mark.system
@real
@pytest.mark.parametrize("type_", TYPES)
def test_promtool_says_the_same_of_names_and_types(type_: str) -> None:
    compare("".join(sample_of(name, type_) for name in NAMES))


@pytest.mark.system
@real
def test_promtool_says_the_same_of_labels() -> None:
    labels = ["le", "quantile", "aB", "AB", "a_b", "job"]
    bodies = [
        sample_of(f"x{n}", type_, f'{{{label}="1"}}')
        for n, (type_, label) in enumerate(product(TYPES, labels))
    ]
    compare("".join(bodies))


@pytest.mark.system
@real
def test_promtool_says_the_same_of_help() -> None:
    helps = ["", "# HELP {}\n", "# HELP {} \n", "# HELP {} X.\n", "# HELP {}  \\n\n"]
    bodies = [
        help_.format(f"x{n}") + sample_of(f"x{n}", "gauge")
        for n, help_ in enumerate(helps)
    ]
    compare("".join(bodies))


@pytest.mark.system
@real
@pytest.mark.parametrize(
    "body",
    [
        "x\n",
        "x 1\nx{ 1\n",
        "x 1",
        "# TYPE x foo\n",
        'x{l="1"\n',
        "x 1\n# TYPE x gauge\n",
    ],
)
def test_promtool_says_the_same_of_what_cannot_be_read(body: str) -> None:
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=body, capture_output=True, text=True
    )
    assert done.returncode == 1
    ((severity, problem),) = lint(body.encode())
    assert severity is Severity.ERROR
    assert done.stderr == f"error while linting: {problem.detail}\n"


parts = st.one_of(
    st.sampled_from([word for word in WORDS if word != "timestamp_seconds"]),
    st.from_regex(r"[a-zA-Z0-9:]{1,4}", fullmatch=True),
)
names = st.lists(parts, min_size=1, max_size=4).map("_".join)


def has_one_unit(name: str) -> bool:
    """Whether promtool does not choose between several units by chance."""
    units = r"(?:[a-z]*(?:s|celsius|kelvin|fahrenheit|rankine))"
    return len(re.findall(rf"(?:^|_){units}(?=_|$)", name)) < 2


@pytest.mark.system
@real
@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(
            names.filter(lambda name: has_one_unit(name) and not name[0].isdigit()),
            st.sampled_from(TYPES),
            st.sampled_from(["", '{le="1"}', '{quantile="1",aB="2"}', '{job="x"}']),
            st.booleans(),
        ),
        min_size=1,
        max_size=40,
        unique_by=lambda family: family[0],
    )
)
def test_promtool_says_the_same_of_anything(
    families: list[tuple[str, str, str, bool]],
) -> None:
    # Each for itself: names may collide with others that take suffixes.
    bodies = [
        (f"# HELP {name} X.\n" if has_help else "") + sample_of(name, type_, labels)
        for name, type_, labels, has_help in families
    ]
    collisions = {
        f"{name}{s}" for name, *_ in families for s in ("_count", "_sum", "_bucket")
    }
    alone = [
        body
        for body, family in zip(bodies, families, strict=True)
        if family[0] not in collisions
    ]
    compare("".join(alone))
