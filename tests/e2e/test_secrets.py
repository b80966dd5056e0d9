"""Secrets that a relay is given are in nothing that it says, writes or shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command import call, run
from databases import database_url
from logging_in import log_in, session
from planted import basic, command_line, files_below, leaks
from relay_process import RelayProcess, Response, free_port
from sqlalchemy import URL, make_url
from tcp_proxy import TcpProxy
from worker_process import master_of, worker_of

pytestmark = [pytest.mark.postgres, pytest.mark.system]

PASSWORD = "planted:pass/word@here"
RUN = "/api/v1/runs/6b1f4a52-0c57-4a8e-9d0b-3c8f6f1a2b3c"

# What nobody foresaw: the log has a traceback of it, and the answer says nothing.
FAULTY = """
from pushrelay.cli.main import cli
from pushrelay.web import query_api
from pushrelay.web.lifecycle import Lifecycle
def fail(*arguments, **options):
    raise ValueError("planted fault")
query_api._group = Lifecycle.healthy = fail
cli(prog_name="pushrelay")
"""


class FaultyRelay(RelayProcess):
    """A relay that finds its database by its environment, and has faults."""

    program = ("-c", FAULTY)

    def command(self) -> list[str]:
        return [each for each in super().command() if "--database.url" not in each]


def text_of(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def made(*arguments: str, url: str) -> tuple[str, str]:
    """Make a token and return it, and what else is told."""
    done = call("token", "create", *arguments, PUSHRELAY_DATABASE_URL=url)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr


def within(token: str) -> str:
    """Return what is secret of a token, and still in one that lacks its end."""
    return token[25:60]


def bearing(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def answer(response: Response) -> bytes:
    """Return all that came, as far as secrets may be in it."""
    heads = [f"{name}: {value}" for name, value in response.headers]
    return "\n".join(heads).encode() + b"\n\n" + response.body


def wrong(token: str) -> list[dict[str, str]]:
    """Return what is sent by those who mistake something about a token."""
    return [
        bearing(token[:-1]),
        bearing(f"{token} {token}"),
        bearing(token.swapcase()),
        {"Authorization": f"Basic {basic('x', token[:-1])}"},
        {"Authorization": f"Basic {basic('x', token)}="},
        {"Authorization": token},
        {"Authorization": f"Token {token}"},
    ]


READ = [
    *("/", "/metrics", "/-/metrics", "/-/healthy", "/-/ready", "/api/v1/status"),
    *("/api/v1/metrics", "/api/v1/groups", "/api/v1/runs", "/api/v1/jobs", RUN),
    *(
        "/api/v1/nothing",
        "/nothing",
        "/api/v1/groups?match[]=x{",
        "/api/v1/runs?limit=x",
    ),
]
WRITTEN = [
    ("PUT", "/metrics/job/x", "a 1\n"),
    ("PUT", "/metrics/job/x", "a{ 1\n"),
    ("POST", "/metrics/job/x?mode=nonsense", "a 1\n"),
    ("PUT", "/metrics/job/x/y", "a 1\n"),
    ("PUT", RUN, '{"job": "x", "state": "started", "started_at": 1}'),
    ("PUT", RUN, '{"job": "x"}'),
    ("POST", "/api/v1/ping?job=x&status=nonsense", ""),
    ("PUT", "/api/v1/admin/wipe", ""),
    ("PUT", "/-/reload", ""),
    ("PATCH", "/metrics", ""),
]
ALL = [*(("GET", path, "") for path in READ), *WRITTEN]
SOME = ALL[:2] + WRITTEN[:1]
KNOWN = {200, 202, 400, 401, 403, 404, 405, 500}
LOST = [*WRITTEN[:1], ("GET", "/-/ready", ""), ("GET", "/api/v1/runs", "")]
"""Requests, statuses of answers, and what is refused without the database."""


def ask(
    relay: RelayProcess, requests: list[tuple[str, str, str]], *heads: dict[str, str]
) -> dict[str, Response]:
    """Return the answers to `requests`, with each of `heads`."""
    return {
        f"{method} {path} {body} with {head}": relay.request(method, path, body, head)
        for head in heads
        for method, path, body in requests
    }


def test_a_relay_keeps_its_secrets_to_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(database_url(tmp_path))
    url = url.set(password=url.password or PASSWORD)
    stored, _ = made("stored", "--scope=admin", url=text_of(url))
    filed, table = made("filed", "--scope=push", "--offline", url=text_of(url))
    file = tmp_path / "tokens.toml"
    file.write_text(table[table.index("[[token]]") :])
    [digest] = re.findall('sha256:(.*)"', table)
    secrets = {
        "the password of the database": str(url.password),
        "a token of the database": within(stored),
        "a token of the file": within(filed),
        "the hash of a token": digest,
    }
    flags = ["--auth.token-file", str(file), "--log.level=debug", "--log.writes=on"]
    flags += ["--web.enable-admin-api", "--web.enable-lifecycle"]
    flags += ["--limit.write-seconds=1"]
    with TcpProxy(url.port or 5432) as proxy:
        here = url.set(host="127.0.0.1", port=proxy.port)
        monkeypatch.setenv("PUSHRELAY_DATABASE_URL", text_of(here))
        with FaultyRelay(tmp_path, *flags) as relay:
            good = [bearing(stored), {"Authorization": f"Basic {basic('x', filed)}"}]
            cookie = session(relay, stored)
            secrets["a session"] = within(cookie["Cookie"].partition("=")[2])
            answers = ask(relay, ALL, *good, cookie, {})
            assert {each.status for each in answers.values()} >= KNOWN
            refused = ask(relay, SOME, *wrong(stored))
            refused["log-in"] = log_in(relay, stored[:-1])
            assert {each.status for each in refused.values()} <= {401, 429}
            proxy.before = lambda _link, _data: False
            proxy.cut()
            lost = ask(relay, LOST, bearing(stored))
            assert {each.status for each in lost.values()} == {503}
            proxy.before = lambda _link, _data: True
            shown = {
                f"command line of {pid}": command_line(pid)
                for pid in (master_of(relay), worker_of(relay))
            }
    told = answers | refused | lost
    places = {what: answer(response) for what, response in told.items()} | shown
    places["log"] = relay.log.encode()
    assert b"planted fault" in places["log"]
    assert b"Traceback" in places["log"]
    assert b"the database" in places["log"]
    assert not leaks(secrets, places)


def urls(url: URL) -> dict[str, str]:
    """Return URLs with a password that are of no use, by what is wrong with them."""
    secret = url.set(password=PASSWORD)
    text = text_of(secret)
    return {
        "another password": text,
        "nobody there": text_of(secret.set(port=free_port())),
        "no database": text_of(secret.set(database="nowhere")),
        "no such option": f"{text}?sslmode=nonsense",
        "no such parameter": f"{text}?nonsense=1",
        "no port": text.replace(f":{url.port}/", ":port/"),
        "no host": text.replace(f"{url.host}:{url.port}", "no host"),
        "no server": text.replace("postgresql+psycopg:", "mysql:"),
        "no URL": text.replace("postgresql+psycopg://", "postgresql:"),
        "not encoded": text.replace("planted%3Apass%2Fword%40here", PASSWORD),
    }


COMMANDS = {
    "check": ["db", "check"],
    "current": ["db", "current"],
    "upgrade": ["db", "upgrade"],
    "backup": ["backup", "made.backup"],
    "tokens": ["token", "list"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_say_what_is_wrong_without_the_password(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {}
    for name, url in urls(make_url(database_url(tmp_path))).items():
        done = call(*COMMANDS[command], PUSHRELAY_DATABASE_URL=url)
        assert done.returncode != 0, name
        assert done.stderr, name
        places[name] = (done.stdout + done.stderr).encode()
    places |= dict(files_below(tmp_path))
    assert not leaks({"the password": PASSWORD}, places)


@pytest.mark.parametrize("wrong", ["another password", "no such option", "not encoded"])
def test_a_relay_that_cannot_start_says_why_without_the_password(
    wrong: str, tmp_path: Path
) -> None:
    url = urls(make_url(database_url(tmp_path)))[wrong]
    done = run("serve", "--log.level=debug", PUSHRELAY_DATABASE_URL=url)
    assert done.returncode != 0
    assert done.stderr
    places = {"stderr": done.stderr.encode(), "stdout": done.stdout.encode()}
    assert not leaks({"the password": PASSWORD}, places)
