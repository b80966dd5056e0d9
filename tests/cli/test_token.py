"""`pushrelay token` makes, lists, revokes and rotates tokens."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
from command import call, run
from databases import database_url
from sqlalchemy import make_url

from pushrelay.rights import Right
from pushrelay.store.engine import open_database
from pushrelay.store.token_rows import list_tokens, note_used
from pushrelay.token_files import parse_tokens
from pushrelay.tokens import Token, digest_of, id_of

HOUR, DAY = 3600 * 10**9, 24 * 3600 * 10**9
TEXT = re.compile(r"prt_[0-9a-f]{16}_[A-Za-z0-9_-]{51}\n")


class Tokens:
    """The tokens of the database at `url`, and the commands for them."""

    def __init__(self, url: str) -> None:
        self.url = url
        assert self("upgrade", group="db").returncode == 0

    def __call__(self, *arguments: str, group: str = "token") -> Any:
        return call(group, *arguments, f"--database.url={self.url}")

    def all(self) -> dict[str, Token]:
        database = open_database(self.url)
        found = {token.name: token for token in list_tokens(database)}
        database.close()
        return found

    def made(self, name: str, *options: str) -> str:
        """Make a token; return its text."""
        done = self("create", name, *options)
        assert done.returncode == 0, done.stderr
        assert TEXT.fullmatch(done.stdout)
        return str(done.stdout).strip()


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(f"sqlite:///{tmp_path}/relay.db")


def test_a_token_is_shown_once_and_alone(tokens: Tokens) -> None:
    done = tokens("create", "backup", "--scope", "push", "--scope", "read")
    assert TEXT.fullmatch(done.stdout)
    text = done.stdout.strip()
    token = tokens.all()["backup"]
    assert (token.id, token.digest) == (id_of(text), digest_of(text))
    assert token.scopes == {Right.PUSH, Right.READ}
    assert token.expires_at is token.limits is None
    assert done.stderr == (
        f"made the token backup ({token.id}), with push, read. It is not shown again\n"
    )


def test_what_a_token_is_for_is_as_it_was_asked_for(tokens: Tokens) -> None:
    began = time.time_ns()
    options = ["--match", 'job="a"', "--match", '{x!=""}', "--expires-in", "90d"]
    limits = ["--limit", "series=10", "--limit", "label-value-bytes=7"]
    tokens.made("backup", "--scope", "push", *options, *limits)
    token = tokens.all()["backup"]
    assert list(map(str, token.selectors)) == ['{job="a"}', '{x!=""}']
    assert token.expires_at is not None
    assert 90 * DAY <= token.expires_at - began <= 91 * DAY
    assert token.limits is not None
    assert (token.limits.series, token.limits.label_value_bytes) == (10, 7)
    assert token.limits.body_bytes is None


def test_a_token_may_expire_at_a_time(tokens: Tokens) -> None:
    tokens.made("a", "--scope=push", "--expires-at=2100-01-01T01:00+01:00")
    assert tokens.all()["a"].expires_at == 4102444800 * 10**9


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["a"], "Missing option '--scope'"),
        (["a", "--scope=health"], "'health' is not one of"),
        (["a b", "--scope=push"], "the name of a token has up to 100"),
        (["a", "--scope=push", "--match={}"], "--match: there is no matcher in it"),
        (["a", "--scope=push", "--match=x{"], "--match: "),
        (["a", "--scope=push", "--limit=series"], "--limit series is not NAME=N"),
        (["a", "--scope=push", "--limit=series=0"], "--limit series=0 is not NAME=N"),
        (["a", "--scope=push", "--limit=colour=1"], "body_bytes, series, labels"),
        (["a", "--scope=push", "--expires-in=x"], '--expires-in: "x" is not a dura'),
        (["a", "--scope=push", "--expires-in=0"], "--expires-in: must be longer"),
        (["a", "--scope=push", "--expires-at=90d"], "--expires-at 90d is no time; a d"),
        (["a", "--scope=push", "--expires-at=soon"], "'soon' is no time"),
        (["a", "--scope=push", "--expires-at=2020-01-01"], "2020-01-01 is past"),
        (
            ["a", "--scope=push", "--expires-in=1d", "--expires-at=2100-01-01"],
            "not both",
        ),
    ],
)
def test_a_wrong_call_makes_nothing(
    options: list[str], told: str, tokens: Tokens
) -> None:
    done = tokens("create", *options)
    assert (done.returncode, done.stdout) == (2, "")
    assert told in done.stderr
    assert tokens.all() == {}


def test_a_name_is_not_given_twice(tokens: Tokens) -> None:
    tokens.made("a", "--scope=push")
    done = tokens("create", "a", "--scope=read")
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is a token a already" in done.stderr


def test_the_list_shows_all_but_secrets(tokens: Tokens) -> None:
    texts = [
        tokens.made("used", "--scope=push", "--match", 'job="a"', "--limit=series=3"),
        tokens.made("old", "--scope=admin"),
        tokens.made("short", "--scope=scrape", "--expires-at=2100-01-01T12:00"),
    ]
    assert tokens("revoke", "old").returncode == 0
    database = open_database(tokens.url)
    note_used(database, {str(id_of(texts[0])): time.time_ns() - 2 * HOUR})
    database.close()
    done = tokens("list")
    assert done.returncode == 0
    headings, *rows = [re.split(r"\s\s+", line) for line in done.stdout.splitlines()]
    assert headings == ["NAME", "STATE", "SCOPES", "USED", "EXPIRES", "ID", "GROUPS"]
    ids = [str(id_of(text)) for text in texts]
    assert rows == [
        ["used", "good", "push", "2h ago", "never", ids[0], '{job="a"}'],
        ["old", "revoked", "admin", "never", "never", ids[1], "all"],
        ["short", "good", "scrape", "never", "2100-01-01 12:00:00", ids[2], "all"],
    ]
    as_json = tokens("list", "--output=json").stdout
    used, old, _ = json.loads(as_json)["tokens"]
    assert used | {"created_at": 0, "last_used_at": 0} == {
        "id": ids[0],
        "name": "used",
        "state": "good",
        "scopes": ["push"],
        "match": ['{job="a"}'],
        "limits": {"series": 3},
        "created_at": 0,
        "expires_at": None,
        "last_used_at": 0,
        "revoked_at": None,
        "former_until": None,
    }
    assert abs(old["revoked_at"] - time.time()) < 3600
    for text in texts:
        assert text.split("_", 2)[2] not in done.stdout + as_json
        assert digest_of(text).hex() not in done.stdout + as_json


@pytest.mark.parametrize("keep", [[], ["--keep-old=24h"]])
def test_a_token_is_rotated(keep: list[str], tokens: Tokens) -> None:
    text = tokens.made("a", "--scope=push")
    done = tokens("rotate", "a", *keep)
    assert TEXT.fullmatch(done.stdout)
    new, token, now = done.stdout.strip(), tokens.all()["a"], time.time_ns()
    assert id_of(new) == id_of(text) == token.id
    assert token.bears(digest_of(new), now)
    assert token.bears(digest_of(text), now) is bool(keep)
    assert not token.bears(digest_of(text), now + DAY)
    assert ("is good for 24h more" in done.stderr) is bool(keep)
    assert new not in done.stderr
    assert tokens("rotate", "a", "--keep-old=x").returncode == 2


def test_a_rotated_token_may_be_given_another_expiry(tokens: Tokens) -> None:
    tokens.made("a", "--scope=push", "--expires-in=1d")
    assert tokens("rotate", "a", "--expires-at=2100-01-01T00:00Z").returncode == 0
    assert tokens.all()["a"].expires_at == 4102444800 * 10**9


def test_what_is_not_there_cannot_be_revoked_or_rotated(tokens: Tokens) -> None:
    text = tokens.made("a", "--scope=push")
    assert tokens("revoke", str(id_of(text))).stderr.startswith("revoked the token a (")
    for command in ("revoke", "rotate"):
        done = tokens(command, "a")
        assert (done.returncode, done.stdout) == (1, "")
        assert "there is no token a, or it is revoked" in done.stderr


def test_who_found_a_token_somewhere_can_revoke_it(tokens: Tokens) -> None:
    text = tokens.made("a", "--scope=push")
    cut_off = tokens("revoke", text[:-1])
    assert cut_off.returncode == 1
    assert text[:-1] not in cut_off.stderr
    assert tokens("revoke", text).stderr.startswith("revoked the token a (")
    assert tokens.all()["a"].revoked_at


def test_offline_a_token_is_made_for_a_file(tmp_path: Path) -> None:
    options = ["--match", 'job=~"b.*"', "--limit=series=3", "--expires-in=1d"]
    done = call(
        *("token", "create", "backup", "--scope=push", "--offline", *options),
        f"--database.url=sqlite:///{tmp_path}/relay.db",
    )
    assert TEXT.fullmatch(done.stdout)
    [token] = parse_tokens(done.stderr, "tokens.toml")
    assert token.name == "backup"
    assert token.digest == digest_of(done.stdout.strip())
    assert token.limits is not None
    assert token.selectors
    assert token.expires_at is not None
    assert list(tmp_path.iterdir()) == []


def test_a_database_that_is_not_there_or_of_another_schema_is_refused(
    tmp_path: Path,
) -> None:
    url = f"--database.url=sqlite:///{tmp_path}/relay.db"
    done = call("token", "list", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "there is no database" in done.stderr
    assert open_database(url.partition("=")[2]).create()
    done = call("token", "create", "a", "--scope=push", url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "run `pushrelay db upgrade" in done.stderr


@pytest.mark.postgres
def test_the_tokens_of_a_server_are_made_and_revoked(tmp_path: Path) -> None:
    tokens = Tokens(database_url(tmp_path))
    text = tokens.made("a", "--scope=push", "--expires-in=1d")
    assert tokens.all()["a"].bears(digest_of(text), time.time_ns())
    assert TEXT.fullmatch(tokens("rotate", "a", "--keep-old=1h").stdout)
    assert tokens("revoke", "a").returncode == 0
    listed = tokens("list")
    assert "revoked" in listed.stdout
    assert str(make_url(tokens.url).password) not in listed.stdout + listed.stderr


@pytest.mark.system
def test_a_shell_captures_a_token(tmp_path: Path) -> None:
    url = f"--database.url=sqlite:///{tmp_path}/relay.db"
    assert run("db", "upgrade", url).returncode == 0
    done = run("token", "create", "a", "--scope=push", url)
    assert TEXT.fullmatch(done.stdout)
