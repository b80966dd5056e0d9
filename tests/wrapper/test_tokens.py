"""Files of tokens, and what is in their place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pushrelay.wrapper.tokens import read_token


@pytest.mark.parametrize(
    ("content", "token"),
    [
        (b"t0ken\n", "t0ken"),
        (b" t0ken", "t0ken"),
        (b"\n", None),
        (b"", None),
        (b"caf\xe9", "caf\udce9"),
        (b"x" * 65536, "x" * 65536),
    ],
)
def test_a_token_is_what_is_in_its_file(
    content: bytes, token: str | None, tmp_path: Path
) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    assert read_token(str(file), {"PUSHRELAY_TOKEN": "other"}) == token


def test_a_file_may_be_a_link_as_secrets_of_containers_are(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("t0ken\n")
    (tmp_path / "token").symlink_to("data")
    assert read_token(str(tmp_path / "token"), {}) == "t0ken"


@pytest.mark.parametrize(("value", "token"), [("t0ken", "t0ken"), ("", None)])
def test_without_a_file_it_is_in_the_environment(value: str, token: str | None) -> None:
    assert read_token(None, {"PUSHRELAY_TOKEN": value}) == token


@pytest.mark.parametrize("kind", ["pipe", "directory", "device", "linked pipe"])
def test_what_is_no_file_is_refused_at_once(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "token"
    if kind == "directory":
        path.mkdir()
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to("pipe")
    with pytest.raises(OSError, match="it is no regular file") as refused:
        read_token(str(path), {})
    assert refused.value.filename == str(path)


def test_a_file_that_is_too_large_for_a_token_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with file.open("wb") as opened:
        opened.truncate(3 << 30)
    with pytest.raises(OSError, match="it is larger than 65536 bytes") as refused:
        read_token(str(file), {})
    assert refused.value.filename == str(file)
