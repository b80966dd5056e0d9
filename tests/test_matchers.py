from __future__ import annotations

import re
import time
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from promtool import accepted, needs_promtool

from pushrelay.errors import InvalidSelector
from pushrelay.matchers import Matcher, MatchType, Selector
from pushrelay.selector_parser import (
    MAX_MATCHERS,
    MAX_SELECTOR_CHARACTERS,
    parse_selector,
)

# Selectors in braces and their canonical form, all of them PromQL behind a metric name.
PROMQL = [
    ("{}", "{}"),
    (" { } ", "{}"),
    ('{job="x"}', '{job="x"}'),
    ('{job="x",}', '{job="x"}'),
    ('{job="x", instance!="y"}', '{job="x",instance!="y"}'),
    ('{a=~"b.*",c!~"d|e"}', '{a=~"b.*",c!~"d|e"}'),
    ('{ \t\n a \r = "b" , }', '{a="b"}'),
    ('{a="b",a="c",a="b"}', '{a="b",a="c",a="b"}'),
    ('{a=""}', '{a=""}'),
    ('{_A9="1",on="2",by="3",sum="4"}', '{_A9="1",on="2",by="3",sum="4"}'),
    ("{a='b'}", '{a="b"}'),
    ("{a=`b`}", '{a="b"}'),
    (r"""{a='"\''}""", r"""{a="\"'"}"""),
    (r"""{a="'\""}""", r"""{a="'\""}"""),
    (r"{a=`\d'" + '"`}', r"""{a="\\d'\""}"""),
    ("{a=`b\nc`}", r'{a="b\nc"}'),
    (r'{a="\a\b\f\n\r\t\v\\"}', r'{a="\a\b\f\n\r\t\v\\"}'),
    (r'{a="\x41\101\u0041\U00000041"}', '{a="AAAA"}'),
    (r'{a="\xc3\xbc\303\274\u00fc\U0001F680"}', '{a="üüü🚀"}'),
    (r'{a="\x00\000\x7f\U0010ffff"}', r'{a="\x00\x00\x7f\U0010ffff"}'),
    ('{a="ü 🚀{},=~"}', '{a="ü 🚀{},=~"}'),
    (r'{a=~"\\d+\\."}', r'{a=~"\\d+\\."}'),
    (r'{a=~"(?i)x|\\pL+(?P<n>y)[[:alpha:]]\\z"}',) * 2,
    ('{a=~""}', '{a=~""}'),
    ('{a=~"^x$"}', '{a=~"^x$"}'),
    ('{a=~"x{1000}"}', '{a=~"x{1000}"}'),
]

# What people type in shells, and names that need quotes.
BEYOND_PROMQL = [
    ('job="x"', '{job="x"}'),
    (' job = "x" , instance=~"y.*" , ', '{job="x",instance=~"y.*"}'),
    ('{"my.label"="x"}', '{"my.label"="x"}'),
    ("'my.label'!~`x`", '{"my.label"!~"x"}'),
    ('{"job"="x","ü\\n\\"" = "y",}', '{job="x","ü\\n\\""="y"}'),
    ('{a="\ufffd"}', '{a="\ufffd"}'),
]

NO_METRIC_NAME = (
    "selectors choose groups by their grouping labels and know no metric names; "
    'write for example {job="x"}'
)

# Also no PromQL behind a metric name, with the column and the problem.
REFUSED = [
    ("{", 2, "expected a label name, found the end"),
    ("{,}", 2, "expected a label name, found `,`"),
    ('{a="b",,}', 8, "expected a label name, found `,`"),
    ('{a="b" c="d"}', 8, "expected a comma or }, found `c`"),
    ('{a="b"', 7, "expected a comma or }, found the end"),
    ('{a="b"}}', 8, "expected the end, found `}`"),
    ('{a="b"}{c="d"}', 8, "expected the end, found `{`"),
    ('{{a="b"}}', 2, "expected a label name, found `{`"),
    ("{a}", 3, "expected =, !=, =~ or !~, found `}`"),
    ("{a", 3, "expected =, !=, =~ or !~, found the end"),
    ('{a:b="c"}', 3, "expected =, !=, =~ or !~, found `:b`"),
    ('{a.b="c"}', 3, "expected =, !=, =~ or !~, found `.b`"),
    ('{a!"b"}', 3, "expected =, !=, =~ or !~, found `!`"),
    ('{a~"b"}', 3, "expected =, !=, =~ or !~, found `~`"),
    ('{a=="b"}', 4, 'expected a value in quotes, such as "x", found `=`'),
    ("{a=b}", 4, 'expected a value in quotes, such as "x", found `b`'),
    ("{a=1}", 4, 'expected a value in quotes, such as "x", found `1`'),
    ("{a=}", 4, 'expected a value in quotes, such as "x", found `}`'),
    ('{="b"}', 2, "expected a label name, found `=`"),
    ('{0a="b"}', 2, "expected a label name, found `0a`"),
    ('{ü="b"}', 2, "expected a label name, found `ü`"),
    ('{a="b}', 4, "the quotes are not closed"),
    (r'{a="b\"}', 4, "the quotes are not closed"),
    ('{a="b\n"}', 4, "the quotes are not closed"),
    ("{a='b\"}", 4, "the quotes are not closed"),
    ("{a=`b}", 4, "the quotes are not closed"),
    (r'{a="ü\q"}', 6, r"\q is no escape, or not all of one"),
    (r'{a="\ü"}', 5, r"\ü is no escape, or not all of one"),
    (r'{a="\'' + '"}', 5, r"\' is no escape, or not all of one"),
    (r"""{a='\"'}""", 5, r"""\" is no escape, or not all of one"""),
    (r'{a="\x4"}', 5, r"\x is no escape, or not all of one"),
    (r'{a="\08"}', 5, r"\0 is no escape, or not all of one"),
    (r'{a="\400"}', 5, r"\4 is no escape, or not all of one"),
    (r'{a="\u00e"}', 5, r"\u is no escape, or not all of one"),
    (r'{a="\ud800"}', 5, r"\u is no escape, or not all of one"),
    (r'{a="\U0000d800"}', 5, r"\U is no escape, or not all of one"),
    (r'{a="\U00110000"}', 5, r"\U is no escape, or not all of one"),
    (r'{a="\Uffffffff"}', 5, r"\U is no escape, or not all of one"),
    ('{a=~"("}', 5, "the regular expression cannot be used: missing ): ("),
    (
        '{a=~"x(?=y)"}',
        5,
        "the regular expression cannot be used: invalid perl operator: (?=",
    ),
    (
        r'{a=~"(x)\\1"}',
        5,
        r"the regular expression cannot be used: invalid escape sequence: \1",
    ),
    (
        '{a!~"x{1001}"}',
        5,
        "the regular expression cannot be used: invalid repetition size: {1001}",
    ),
    (
        '{a=~"*"}',
        5,
        "the regular expression cannot be used: no argument for repetition operator: *",
    ),
]

# PromQL would take these.
REFUSED_ONLY_HERE = [
    ('{a="b"} or x', 9, "expected the end, found `or`"),
    ('{a="b"}[5m]', 8, "expected the end, found `[`"),
    ('{a="b"} # x', 9, "expected the end, found `#`"),
    ("", 1, 'expected matchers such as {job="x"}, found nothing'),
    (" ", 2, 'expected matchers such as {job="x"}, found nothing'),
    (",", 1, "expected a label name, found `,`"),
    ("up", 1, NO_METRIC_NAME),
    (" up ", 2, NO_METRIC_NAME),
    ('up{job="x"}', 1, NO_METRIC_NAME),
    ('a:b {job="x"}', 1, NO_METRIC_NAME),
    ('{"up"}', 2, NO_METRIC_NAME),
    ('{job="x","up"}', 10, NO_METRIC_NAME),
    ('"up"', 1, NO_METRIC_NAME),
    ('{__name__="up"}', 2, NO_METRIC_NAME),
    ('{"__name__"!~"up"}', 2, NO_METRIC_NAME),
    ('{""="x"}', 2, "a label name cannot be empty"),
    ("job=x", 5, 'expected a value in quotes, such as "x", found `x`'),
    ('job="x"}', 8, "expected a comma or the end, found `}`"),
    (r'{a="\xff"}', 4, "the escapes in this string make no valid UTF-8"),
    (r'{a="ü\xc3"}', 4, "the escapes in this string make no valid UTF-8"),
    ('{a="\udcff"}', 1, "it is not valid UTF-8"),
    (
        r'{a=~"\\pL{1000}"}',
        5,
        "the regular expression cannot be used: pattern too large - compile failed",
    ),
    (
        'a="b",' * MAX_MATCHERS + 'a="b"',
        6 * MAX_MATCHERS + 1,
        f"there are more than {MAX_MATCHERS} matchers",
    ),
    (
        "a" * (MAX_SELECTOR_CHARACTERS + 1),
        1,
        f"it is longer than {MAX_SELECTOR_CHARACTERS} characters",
    ),
]

# A selector, labels, and whether it chooses a group that has them.
VERDICTS = [
    ("{}", {}, True),
    ("{}", {"job": "x"}, True),
    ('{job="x"}', {"job": "x"}, True),
    ('{job="x"}', {"job": "xy"}, False),
    ('{job="x",instance="y"}', {"job": "x", "instance": "z"}, False),
    ('{job!="x"}', {"job": "y"}, True),
    ('{instance=""}', {"job": "x"}, True),
    ('{instance=""}', {"job": "x", "instance": ""}, True),
    ('{instance!=""}', {"job": "x"}, False),
    ('{instance!="y"}', {"job": "x"}, True),
    ('{instance=~".*"}', {"job": "x"}, True),
    ('{instance=~".+"}', {"job": "x"}, False),
    ('{instance!~"y.*"}', {"job": "x"}, True),
    ('{job=~"back"}', {"job": "backup"}, False),
    ('{job=~"ack.*"}', {"job": "backup"}, False),
    ('{job=~"back.*"}', {"job": "backup"}, True),
    ('{job=~"a|ab"}', {"job": "ab"}, True),
    ('{job=~"a|b.*"}', {"job": "ac"}, False),
    ('{job!~"a|b"}', {"job": "b"}, False),
    ('{job=~"(?i)BACK.*"}', {"job": "backup"}, True),
    ('{job=~".+"}', {"job": "a\nb"}, True),
    ('{job=~"a"}', {"job": "a\n"}, False),
    ('{job=~"a$"}', {"job": "a\n"}, False),
    (r'{job=~"\\d"}', {"job": "\u0661"}, False),
    (r'{job=~"\\pL."}', {"job": "ü🚀"}, True),
    ('{job=~"ü.*"}', {"job": "üx"}, True),
    ('{job=~"' + "long" * 20 + '.*"}', {"job": "long" * 20 + "er"}, True),
    ('{job=~"a[^b]c"}', {"job": "a\U0010ffffc"}, True),
    ('{job=~"[\U0010ffff]+"}', {"job": "\U0010ffff" * 20}, True),
    ("{job=~`a\0b`}", {"job": "a\0b"}, True),
]

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NAMES = (st.sampled_from(["job", "instance", "my.label"]) | TEXT.filter(bool)).filter(
    lambda name: name != "__name__"
)
# Means the same to Python's re as to RE2.
PATTERNS = st.recursive(
    st.sampled_from(["", "a", "b", "ü", ".", "[ab]", "[^a]", "\n"]),
    lambda inner: (
        st.builds("{}{}".format, inner, inner)
        | st.builds("(?:{}|{})".format, inner, inner)
        | st.builds("(?:{})*".format, inner)
        | st.builds("(?:{}){{1,2}}".format, inner)
    ),
    max_leaves=8,
)
REGEXPS = (MatchType.REGEXP, MatchType.NOT_REGEXP)
MATCHERS = st.builds(
    Matcher,
    NAMES,
    st.sampled_from([MatchType.EQUAL, MatchType.NOT_EQUAL]),
    st.text("abü\n", max_size=3) | TEXT,
) | st.builds(Matcher, NAMES, st.sampled_from(REGEXPS), PATTERNS)
SELECTORS = st.lists(MATCHERS, max_size=8).map(lambda some: Selector(tuple(some)))
LABELS = st.dictionaries(
    st.sampled_from(["job", "instance", "my.label"]), st.text("abü\n", max_size=5)
)


@pytest.mark.parametrize(("written", "canonical"), PROMQL + BEYOND_PROMQL)
def test_a_selector_has_a_canonical_form(written: str, canonical: str) -> None:
    selector = parse_selector(written)
    assert str(selector) == canonical
    assert parse_selector(canonical) == selector


@pytest.mark.parametrize(("written", "column", "problem"), REFUSED + REFUSED_ONLY_HERE)
def test_a_bad_selector_is_refused_with_the_place(
    written: str, column: int, problem: str
) -> None:
    with pytest.raises(InvalidSelector) as refused:
        parse_selector(written)
    assert refused.value.column == column
    assert str(refused.value).endswith(f", column {column}: {problem}")


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("{a=b}", "`{a=b}`"),
        ("{a=`b}", '"{a=`b}"'),
        ("{a=\n}", r'"{a=\n}"'),
        ("é" * 10_000, "`" + "é" * 200 + "...`"),
    ],
)
def test_a_refusal_shows_the_selector(written: str, shown: str) -> None:
    with pytest.raises(InvalidSelector) as refused:
        parse_selector(written)
    assert str(refused.value).startswith(f"invalid selector {shown}, column ")


@pytest.mark.parametrize(("written", "labels", "verdict"), VERDICTS)
def test_a_selector_chooses_by_labels(
    written: str, labels: dict[str, str], verdict: bool
) -> None:
    assert parse_selector(written).matches(labels) is verdict


@pytest.mark.parametrize(
    ("written", "empty"),
    [("{}", True), ("{ }", True), ('{job=""}', False), ('job=~".*"', False)],
)
def test_a_selector_tells_whether_it_is_empty(written: str, empty: bool) -> None:
    assert parse_selector(written).is_empty is empty


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a*)*b", "(a|aa)+$", "(.*)*x"])
def test_no_pattern_takes_for_ever(pattern: str) -> None:
    # Python's own `re` would not be back within this century.
    selector = parse_selector(f"job=~`{pattern}`")
    assert not selector.matches({"job": "a" * 60_000 + "!"})


def test_a_bad_pattern_is_told_to_the_caller_alone(
    capfd: pytest.CaptureFixture[str],
) -> None:
    for pattern in ("(", r"\\pL{1000}", "x{1001}"):
        with pytest.raises(InvalidSelector):
            parse_selector(f'job=~"{pattern}"')
    assert capfd.readouterr() == ("", "")


@given(SELECTORS)
def test_a_written_selector_is_read_back(selector: Selector) -> None:
    assert parse_selector(str(selector)) == selector


@given(SELECTORS, LABELS)
@example(Selector((Matcher("job", MatchType.REGEXP, "[^a]*"),)), {"job": "\U0010ffff"})
def test_the_verdict_is_that_of_a_naive_reading(
    selector: Selector, labels: dict[str, str]
) -> None:
    assert selector.matches(labels) is all(
        naive_verdict(matcher, labels) for matcher in selector.matchers
    )


def naive_verdict(matcher: Matcher, labels: dict[str, str]) -> bool:
    value = labels.get(matcher.name, "")
    if matcher.type is MatchType.EQUAL:
        return value == matcher.value
    if matcher.type is MatchType.NOT_EQUAL:
        return value != matcher.value
    matched = re.fullmatch(matcher.value, value, re.DOTALL) is not None
    return matched if matcher.type is MatchType.REGEXP else not matched


@given(st.text("{}ab=!~,\"'`\\x4() \n", max_size=20) | st.text())
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        selector = parse_selector(text)
    except InvalidSelector:
        return
    assert parse_selector(str(selector)) == selector


@pytest.mark.system
@needs_promtool
def test_promtool_takes_and_refuses_the_same(tmp_path: Path) -> None:
    taken = [f"up{written.lstrip()}" for written, _ in PROMQL]
    refused = [f"up{written}" for written, _, _ in REFUSED]
    assert accepted(taken + refused, tmp_path) == taken


@pytest.mark.parametrize(
    ("selector", "value"),
    [
        ('{job="a"}', "a"),
        ('{instance="i",job=""}', ""),
        ('{job="a",job="b"}', "a"),
        ('{job!="b",job="a"}', "a"),
        ('{job=~"a"}', None),
        ('{job!="a"}', None),
        ('{instance="a"}', None),
        ("{}", None),
    ],
)
def test_a_matcher_may_say_which_value_a_label_has(
    selector: str, value: str | None
) -> None:
    assert parse_selector(selector).value_of("job") == value


@pytest.mark.parametrize(
    ("selector", "may", "must"),
    [
        ("{}", True, True),
        ('{job="a"}', True, True),
        ('{job=~"a|b"}', True, True),
        ('{job="a",team="x"}', True, False),
        ('{team=""}', True, False),
        ('{job="b"}', False, False),
        ('{job!="a",team="x"}', False, False),
    ],
)
def test_some_labels_may_say_enough_whatever_the_others_are(
    selector: str, may: bool, must: bool
) -> None:
    parsed, labels = parse_selector(selector), {"job": "a"}
    assert parsed.may_match_with(labels) is may
    assert parsed.matches_all_with(labels) is must


def test_other_threads_go_on_while_very_many_values_are_matched() -> None:
    """Measured in values that are matched between two turns, not in seconds."""
    matcher = Matcher("job", MatchType.REGEXP, "e.*")
    matched, all_ = 0, 20_000

    def match_and_work() -> None:
        nonlocal matched
        for matched in range(all_):  # noqa: B007  # it is looked at meanwhile
            assert matcher.matches("e1")
            sum(range(4_000))

    matching = Thread(target=match_and_work)
    last = longest = 0
    matching.start()
    while matching.is_alive():
        time.sleep(0.001)
        longest, last = max(longest, matched - last), matched

    assert longest < all_ / 4
