"""Files of tokens."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from doc_examples import DOCS
from hypothesis import given
from hypothesis import strategies as st
from token_use import NOW, new_token

from pushrelay.errors import InvalidRules
from pushrelay.job_rules import RuleLimits
from pushrelay.matchers import Matcher, MatchType, Selector
from pushrelay.rights import SCOPES, Right
from pushrelay.selector_parser import parse_selector
from pushrelay.token_files import parse_tokens, read_token_file, table_of
from pushrelay.tokens import Token, new_text

HASH = f"sha256:{'0a' * 32}"
GOOD = f"""
[[token]]
name = "backup"
hash = "{HASH}"
scopes = ["push"]
"""
COMPLETE = f"""{GOOD}match = ['job=~"backup-.*"', '{{instance="b"}}']
expires = 2027-01-01T01:00:00+01:00
[token.limits]
series = 1000
"""


def test_a_complete_table_is_read() -> None:
    [token] = parse_tokens(COMPLETE, "t.toml")
    assert token == Token(
        f"file-{'0a' * 8}",
        "backup",
        bytes.fromhex("0a" * 32),
        frozenset([Right.PUSH]),
        (parse_selector('job=~"backup-.*"'), parse_selector('{instance="b"}')),
        RuleLimits(series=1000),
        expires_at=round(datetime(2027, 1, 1, tzinfo=UTC).timestamp()) * 10**9,
    )


def test_what_is_not_said_is_no_bound() -> None:
    [token] = parse_tokens(GOOD, "t.toml")
    assert (token.selectors, token.limits, token.expires_at) == ((), None, None)
    assert parse_tokens("", "t.toml") == []
    [with_one] = parse_tokens(GOOD + "match = 'job=\"a\"'", "t.toml")
    assert with_one.selectors == (parse_selector('job="a"'),)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[[token]]", "t.toml:1: token[1]: has no name"),
        ("token = 1", "t.toml:1: token: must be tables that begin with [[token]]"),
        ("[[tokens]]", "t.toml:1: tokens: is not known here; did you mean token?"),
        ("x", "t.toml:1: is not TOML"),
        (GOOD + "scope = 1", "t.toml:6: token[1].scope: is not known here; did you me"),
        (GOOD.replace("push", "fly"), 't.toml:5: token[1].scopes: must be "push", "'),
        (GOOD.replace('["push"]', "[]"), "t.toml:5: token[1].scopes: must be an array"),
        (GOOD.replace('["push"]', '"push"'), "token[1].scopes: must be an array with"),
        (GOOD.replace(HASH, "0a"), 't.toml:4: token[1].hash: must be "sha256:" and 64'),
        (GOOD.replace(f'"{HASH}"', "1"), "t.toml:4: token[1].hash: must be "),
        (GOOD.replace("backup", "a b"), "t.toml:3: token[1].name: the name of a token"),
        (GOOD.replace('"backup"', "1"), "t.toml:3: token[1].name: must be a name, in"),
        (GOOD + "match = '{}'", "t.toml:6: token[1].match: has no matcher"),
        (GOOD + "match = []", "t.toml:6: token[1].match: must be a selector"),
        (GOOD + "match = 'job'", "t.toml:6: token[1].match: "),
        (GOOD + "match = [1]", "t.toml:6: token[1].match: must be a selector, or an"),
        (GOOD + "expires = 2027-01-01", "t.toml:6: token[1].expires: must be a time w"),
        (
            GOOD + "expires = 2027-01-01T00:00:00",
            "token[1].expires: must be a time wit",
        ),
        (GOOD + "expires = 'x'", "t.toml:6: token[1].expires: must be a time with"),
        (GOOD + "[token.limits]\nseries = 0", "t.toml:7: token[1].limits.series: must"),
        (GOOD + GOOD, 't.toml:8: token[2].name: "backup" is there before'),
        (GOOD + GOOD, "t.toml:9: token[2].hash: is there before"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, told: str) -> None:
    with pytest.raises(InvalidRules) as refused:
        parse_tokens(text, "t.toml")
    assert told in str(refused.value)


def test_a_token_that_was_written_into_the_file_is_not_repeated() -> None:
    _, text = new_token()
    wrong = f'[[token]]\nname = "{text}"\nhash = "{text}"\nscopes = ["push"]\n'
    with pytest.raises(InvalidRules) as refused:
        parse_tokens(wrong, "t.toml")
    assert len(refused.value.problems) == 2
    assert text not in str(refused.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidRules, match=r"t\.toml: cannot be read: No such file"):
        read_token_file(tmp_path / "t.toml")


VALUES = st.text(st.characters(codec="utf-8"), max_size=10)
MATCHERS = st.builds(
    Matcher,
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=5).filter(
        lambda name: name != "__name__"
    ),
    st.sampled_from([MatchType.EQUAL, MatchType.NOT_EQUAL]),
    VALUES,
)
SELECTORS = st.lists(MATCHERS, min_size=1, max_size=3).map(
    lambda matchers: Selector(tuple(matchers))
)


@given(
    st.lists(SELECTORS, max_size=3),
    st.sets(st.sampled_from(SCOPES), min_size=1),
    st.none() | st.integers(0, 2 * NOW // 10**9),
    st.none() | st.integers(1, 2**62),
)
def test_what_is_written_is_read_again(
    selectors: list[Selector],
    scopes: set[Right],
    expires: int | None,
    series: int | None,
) -> None:
    token = Token(
        "file-",
        "a",
        new_text().digest,
        frozenset(scopes),
        tuple(selectors),
        None if series is None else RuleLimits(series=series),
        expires_at=None if expires is None else expires * 10**9,
    )
    [again] = parse_tokens(table_of(token), "t.toml")
    assert table_of(again) == table_of(token)
    assert (again.selectors, again.scopes) == (token.selectors, token.scopes)
    assert (again.expires_at, again.limits) == (token.expires_at, token.limits)


def test_the_example_of_the_docs_is_a_file_of_tokens() -> None:
    page = (DOCS / "configuration.md").read_text()
    section = page.partition("### The file of tokens")[2]
    text = section.partition("```toml\n")[2].partition("```")[0]
    [nightly, prometheus] = parse_tokens(text, "t.toml")
    assert nightly.selectors
    assert prometheus.scopes == {Right.SCRAPE}
