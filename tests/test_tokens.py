"""The text of tokens, and what they give."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from token_use import HOUR, NOW, new_token

from pushrelay.errors import InvalidToken
from pushrelay.job_rules import RuleLimits
from pushrelay.rights import Right
from pushrelay.selector_parser import parse_selector
from pushrelay.tokens import (
    digest_of,
    id_of,
    is_token,
    new_text,
    parent_of_user,
    require_name,
)

CHARACTERS = st.characters(exclude_categories=[])
TEXT = new_text().text


def test_a_token_is_known_by_its_beginning_and_has_its_id_in_it() -> None:
    new = new_text()
    assert re.fullmatch(rf"prt_{new.id}_[A-Za-z0-9_-]{{51}}", new.text)
    assert id_of(new.text) == new.id
    assert new.digest == digest_of(new.text)
    assert new_text().text != new.text
    assert id_of(new_text(new.id).text) == new.id


@given(st.text(CHARACTERS))
@example("prt_")
@example(TEXT + "\n")
@example(" " + TEXT)
@example(TEXT.upper())
def test_nothing_else_is_a_token(text: str) -> None:
    assert not is_token(text)
    digest_of(text)


@given(st.integers(0, len(TEXT) - 1), st.text(CHARACTERS, max_size=3))
def test_a_token_that_is_mistyped_is_none(at: int, typed: str) -> None:
    mistyped = TEXT[:at] + typed + TEXT[at + 1 :]
    assert (id_of(mistyped) is None) is (mistyped != TEXT)


def test_what_is_kept_shows_no_secret() -> None:
    token, text = new_token()
    secret = text.split("_", 2)[2]
    assert secret not in repr(token) + repr(new_text(token.id))
    assert token.digest.hex() not in repr(token)
    assert repr(token.digest) not in repr(token)


def test_a_token_is_good_until_it_expires_or_is_revoked() -> None:
    token, _ = new_token(expires_at=NOW + HOUR)
    assert token.is_good(NOW + HOUR - 1)
    assert not token.is_good(NOW + HOUR)
    assert new_token()[0].is_good(2**62)
    assert not new_token(revoked_at=NOW)[0].is_good(NOW)


def test_a_rotated_token_bears_both_texts_for_a_while() -> None:
    former = new_text()
    token, text = new_token(former=former.digest, former_until=NOW + HOUR)
    assert token.bears(digest_of(text), NOW + HOUR)
    assert token.bears(former.digest, NOW + HOUR - 1)
    assert not token.bears(former.digest, NOW + HOUR)
    assert not token.bears(digest_of("other"), NOW)
    assert not new_token()[0].bears(former.digest, NOW)


def test_a_token_stands_for_what_it_was_made_for() -> None:
    selectors, limits = (parse_selector("{job='a'}"),), RuleLimits(series=3)
    token, _ = new_token(selectors=selectors, limits=limits)
    identity = token.identity()
    assert (identity.name, identity.kind) == ("backup", "token")
    assert identity.limits == limits
    assert identity.grant.allows(Right.PUSH)
    assert not identity.grant.allows(Right.READ)
    assert identity.grant.covers_job("a")
    assert not identity.grant.covers_job("b")


def test_a_session_gives_what_its_token_gives_or_all_to_a_user() -> None:
    token, _ = new_token()
    session, _ = new_token("", parent=token.id, scopes=frozenset())
    assert session.is_session
    assert not token.is_session
    assert session.user is None
    given_to = token.giving_to(session)
    assert given_to.identity() == token.identity()
    assert (given_to.id, given_to.parent) == (session.id, token.id)
    of_user, _ = new_token(
        "", parent=parent_of_user("user:a", "0f"), scopes=frozenset()
    )
    assert of_user.user == "user:a"
    identity = of_user.identity()
    assert (identity.name, identity.kind) == ("user:a", "user")
    assert identity.grant.allows(Right.ADMIN)


@pytest.mark.parametrize("name", ["a", "backup@db-1", "A/b:c.d_e-f", "9" * 100])
def test_names_are_those_of_machines_and_jobs(name: str) -> None:
    assert require_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *("", "-a", "a b", "a\n", "ä"),
        pytest.param("9" * 101, id="too long"),
        pytest.param(TEXT, id="the text of a token"),
    ],
)
def test_other_names_are_refused_and_not_repeated(name: str) -> None:
    with pytest.raises(InvalidToken) as refused:
        require_name(name)
    assert TEXT not in str(refused.value)
