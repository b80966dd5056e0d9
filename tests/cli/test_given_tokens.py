"""Commands that talk to a relay give it the token that they are told of."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from canned_server import Asked, Canned, CannedServer, data, text
from command import call

SECRET = "s3cret"


class Relay:
    """Wants the token, and then refuses otherwise."""

    def __call__(self, asked: Asked) -> Canned:
        if asked.headers.get("authorization") != f"Bearer {SECRET}":
            return text(401, "who are you?\n")
        return text(410, "seen\n")


@pytest.fixture
def server() -> Iterator[CannedServer]:
    with CannedServer(Relay()) as server:
        yield server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text(f"{SECRET}\n")
    return file


@pytest.mark.parametrize(
    "command",
    [
        ["push", "--job", "a", "FILE"],
        ["delete", "--job", "a"],
        ["delete", "--match", "job='a'", "--yes"],
        ["groups"],
        ["jobs"],
        ["jobs", "a"],
        ["runs", "list", "a"],
        ["runs", "show", "--last", "a"],
        ["pause", "a", "--for", "1h"],
        ["resume", "a"],
        ["retire", "a", "--yes"],
        ["expect", "a", "--every", "1h"],
    ],
    ids=" ".join,
)
def test_each_command_gives_it(
    command: list[str], server: CannedServer, tmp_path: Path
) -> None:
    file = tmp_path / "metrics"
    file.write_text("x 1\n")
    command = [word.replace("FILE", str(file)) for word in command]
    environment = {"PUSHRELAY_TOKEN": SECRET}
    done = call(*command, "--url", server.url, **environment)
    assert (done.returncode, "answered 410" in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize("way", ["option", "file's variable", "variable", "both"])
def test_it_is_read_from_a_file_or_the_environment(
    way: str, server: CannedServer, file: Path
) -> None:
    options, environment = {
        "option": (["--token-file", str(file)], {}),
        "file's variable": ([], {"PUSHRELAY_TOKEN_FILE": str(file)}),
        "variable": ([], {"PUSHRELAY_TOKEN": SECRET}),
        "both": (["--token-file", str(file)], {"PUSHRELAY_TOKEN": "other"}),
    }[way]
    done = call("groups", "--url", server.url, *options, **environment)
    assert "answered 410" in done.stderr


def test_without_it_the_relay_refuses(server: CannedServer) -> None:
    done = call("groups", "--url", server.url)
    assert done.returncode == 1
    assert "answered 401" in done.stderr


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (None, "No such file"),
        (b" \n", "is empty"),
        (b"a b", "the token cannot be sent"),
    ],
)
def test_a_file_without_a_token_is_a_wrong_call(
    written: bytes | None, told: str, server: CannedServer, file: Path
) -> None:
    file.unlink() if written is None else file.write_bytes(written)
    done = call("groups", "--url", server.url, "--token-file", str(file))
    assert done.returncode == 2
    assert told in done.stderr
    assert server.asked == []


def test_a_token_beside_a_user_is_a_wrong_call(server: CannedServer) -> None:
    url = server.url.replace("://", "://user:password@")
    done = call("groups", "--url", url, PUSHRELAY_TOKEN=SECRET)
    assert done.returncode == 2
    assert "there is a token, and a user in the URL as well" in done.stderr
    assert SECRET not in done.stderr


def test_a_pushgateway_does_not_get_the_token_of_the_relay(
    server: CannedServer,
) -> None:
    with CannedServer(lambda _: data([])) as gateway:
        call(
            *("import", "pushgateway", gateway.url, "--url", server.url),
            PUSHRELAY_TOKEN=SECRET,
        )
        assert gateway.asked
        assert not any("authorization" in asked.headers for asked in gateway.asked)
