"""Hashes of passwords: which are read, and of which passwords they are."""

from __future__ import annotations

import pytest
from passwords import SECRET, check, hash_of

from pushrelay.web.basic_users import BasicUsers, InvalidHash, parse_hash


@pytest.mark.parametrize("letter", ["", "a", "b", "x", "y", "z"])
def test_every_letter_that_go_takes_is_taken(letter: str) -> None:
    users = BasicUsers({"alice": parse_hash(SECRET.replace("2y", f"2{letter}"))})
    assert check(users, "alice", "secret")


@pytest.mark.parametrize(
    "text",
    [
        *("", "secret", "$2y$04$", SECRET[:-1], f"{SECRET}x", f" {SECRET}"),
        *(
            f"{SECRET}\n",
            SECRET.replace("$04$", "$03$"),
            SECRET.replace("$04$", "$32$"),
        ),
        *(SECRET.replace("$2y", "$3y"), SECRET.replace("$2y", "$2yy")),
        *(SECRET.replace("$04$", "$4$"), SECRET.replace("O", "!"), "alice:" + SECRET),
        # The last letter of a salt has two bits.
        SECRET.replace("b.OKh", "bzOKh"),
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
    ],
)
def test_what_is_no_hash_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(InvalidHash, match="is no bcrypt hash") as caught:
        parse_hash(text)
    assert "secret" not in str(caught.value)
    assert SECRET[10:20] not in str(caught.value)


@pytest.mark.parametrize(
    ("password", "others"),
    [
        ("b" * 72, ["b" * 71, "b" * 71 + "c"]),
        ("é" * 36, ["é" * 35, "é" * 35 + "e"]),
        ("", ["\0x", " "]),
        ("a\0b", ["a", "a\0", "a\0c", "ab"]),
        ("\udcff\udcfe", ["\udcff", "\udcfe\udcff"]),
    ],
)
def test_passwords_are_the_bytes_that_were_sent(
    password: str, others: list[str]
) -> None:
    data = password.encode(errors="surrogateescape")
    users = BasicUsers({"alice": hash_of(data)})
    assert check(users, "alice", password)
    for other in others:
        assert not check(users, "alice", other)
