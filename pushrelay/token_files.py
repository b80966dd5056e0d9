"""Tokens in a file: for those who provision by files, and for the first one.

    [[token]]
    name = "backup"
    hash = "sha256:6d0c..."
    scopes = ["push"]
    match = '{job=~"backup-.*"}'
    expires = 2027-01-01T00:00:00Z
    [token.limits]
    series = 1000

The hash is that of the whole text of the token. `pushrelay token create --offline`
prints such a table.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pushrelay.errors import InvalidRules
from pushrelay.job_rules import RuleLimits, read_limits
from pushrelay.matchers import Selector
from pushrelay.quoting import quote
from pushrelay.rights import SCOPES, Right
from pushrelay.rule_tables import Problem, RuleTable, WrongValue, one_of, shown, text_of
from pushrelay.selector_parser import parse_selector
from pushrelay.tokens import Token, require_name
from pushrelay.toml_files import located, parse_toml, read_text

_KEYS = ["name", "hash", "scopes", "match", "expires", "limits"]
_HASH = re.compile(r"sha256:([0-9a-f]{64})")
_SCOPES = {scope.value: scope for scope in SCOPES}
_SECOND = 10**9


def read_token_file(path: Path) -> list[Token]:
    """Return the tokens in the file at `path`. Raises InvalidRules with all that is
    wrong, or because the file cannot be read."""
    return parse_tokens(read_text(path), str(path))


def parse_tokens(text: str, file: str) -> list[Token]:
    """Return the tokens in the TOML `text`, of which there may be none. Raises
    InvalidRules with all that is wrong, each problem after `file`, its line and its
    key."""
    problems: list[Problem] = []
    document = RuleTable(parse_toml(text, file), "", problems)
    document.refuse_all_but(["token"])
    found: list[Token] = []
    for number, values in enumerate(document.read("token", _tables) or [], 1):
        table = RuleTable(values, f"token[{number}]", problems)
        token = _token(table)
        if token is not None:
            _refuse_again(table, token, found)
            found.append(token)
    if problems:
        raise InvalidRules(located(problems, text, file))
    return found


def table_of(token: Token) -> str:
    """Return `token` as such a file has it; the time that it expires in whole
    seconds."""
    match = [str(selector) for selector in token.selectors]
    lines = [
        "[[token]]",
        f"name = {_written(token.name)}",
        f"hash = {_written(f'sha256:{token.digest.hex()}')}",
        f"scopes = [{', '.join(_written(scope) for scope in sorted(token.scopes))}]",
    ]
    if match:
        lines.append(f"match = [{', '.join(map(_written, match))}]")
    if token.expires_at is not None:
        expires = datetime.fromtimestamp(token.expires_at // _SECOND, UTC)
        lines.append(f"expires = {expires:%Y-%m-%dT%H:%M:%SZ}")
    if token.limits is not None:
        limits = asdict(token.limits).items()
        lines.append("[token.limits]")
        lines += [f"{name} = {limit}" for name, limit in limits if limit is not None]
    return "\n".join(lines) + "\n"


def _token(table: RuleTable) -> Token | None:
    table.refuse_all_but(_KEYS)
    for key in ("name", "hash", "scopes"):
        if key not in table.values:
            table.refuse("", f"has no {key}")
    name = table.read("name", _name)
    digest = table.read("hash", _digest)
    scopes = table.read("scopes", _scopes)
    selectors = table.read("match", _selectors)
    expires_at = table.read("expires", _moment)
    limits = read_limits(table.table("limits"), RuleLimits)
    if name is None or digest is None or scopes is None:
        return None
    id_ = f"file-{digest.hex()[:16]}"
    token = Token(id_, name, digest, scopes, selectors or (), expires_at=expires_at)
    return replace(token, limits=limits) if "limits" in table.values else token


def _refuse_again(table: RuleTable, token: Token, before: list[Token]) -> None:
    if token.name in [other.name for other in before]:
        table.refuse("name", f"{quote(token.name)} is there before; names are unique")
    if token.digest in [other.digest for other in before]:
        table.refuse("hash", "is there before; each token has its own")


def _tables(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise WrongValue("must be tables that begin with [[token]], a token each")
    return value


def _name(value: Any) -> str:
    return require_name(text_of(value, "a name"))


def _digest(value: Any) -> bytes:
    found = _HASH.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        # It may be a token that was written here by mistake.
        raise WrongValue(
            'must be "sha256:" and 64 hexadecimal digits in lower case; '
            "`pushrelay token create --offline` prints it"
        )
    return bytes.fromhex(found[1])


def _scopes(value: Any) -> frozenset[Right]:
    if not isinstance(value, list) or not value:
        raise WrongValue(f"must be an array with any of {', '.join(_SCOPES)}")
    return frozenset([one_of(_SCOPES, each) for each in value])


def _selectors(value: Any) -> tuple[Selector, ...]:
    written = value if isinstance(value, list) else [value]
    if not written:
        raise WrongValue("must be a selector, or several; leave it out for all groups")
    return tuple([_selector(each) for each in written])


def _selector(value: Any) -> Selector:
    selector = parse_selector(text_of(value, "a selector, or an array of them"))
    if selector.is_empty:
        raise WrongValue("has no matcher; leave match out for all groups")
    return selector


def _moment(value: Any) -> int:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise WrongValue(
            "must be a time with its offset, without quotes, such as "
            f"2027-01-01T00:00:00Z, not {shown(value)}"
        )
    return round(value.timestamp()) * _SECOND


def _written(text: str) -> str:
    """Return `text` as a string of TOML."""
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    # Like a string of JSON, but without surrogates and DEL.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
