"""`pushrelay spool`, with spools in real directories and relays that answer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path

import click
import pytest
from canned_server import Asked, Canned, CannedServer, data, problem, text
from command import call, run
from noting_relay import TAKEN
from relay_process import REPOSITORY, StartRelay
from run_http import finish, new_id, run_of, start
from spooled import NOW, OTHER_URL, URL, finished, started

from pushrelay.cli.spool import _listing
from pushrelay.wrapper.envelopes import Entry
from pushrelay.wrapper.reports import Report
from pushrelay.wrapper.spool import Spool

NOBODY = "http://127.0.0.1:9"


class Relay:
    """Answers with `answers` by job, and else as if it took everything; wants this
    token if there is one."""

    def __init__(self) -> None:
        self.answers: dict[str, Canned] = {}
        self.token: str | None = None

    def __call__(self, asked: Asked) -> Canned:
        given = asked.headers.get("authorization")
        if self.token is not None and given != f"Bearer {self.token}":
            return text(401, "who are you?\n")
        return self.answers.get(json.loads(asked.body)["job"], data(TAKEN))


@pytest.fixture
def relay() -> Relay:
    return Relay()


@pytest.fixture
def server(relay: Relay) -> Iterator[CannedServer]:
    with CannedServer(relay) as server:
        yield server


@pytest.fixture
def state(tmp_path: Path) -> dict[str, str]:
    """The environment of the commands."""
    return {"PUSHRELAY_STATE_DIR": str(tmp_path / "state")}


@pytest.fixture
def spool(state: dict[str, str]) -> Spool:
    return Spool([state["PUSHRELAY_STATE_DIR"]])


def test_the_example_in_the_docs_is_such_a_list() -> None:
    page = (REPOSITORY / "docs/cli.md").read_text()
    example = page.partition("```text\nHAPPENED")[2].partition("```")[0]
    at = 1795575641.0  # 2026-11-25 03:00:41
    relay = "http://relay.example.org:9091"
    waiting = [
        Entry("", relay, finished(at, job="nightly-report"), NOW),
        Entry("", relay, started(at + 3559, job="sync"), NOW),
    ]
    report = finished(at - 89429, job="backup", outcome="failure")
    reason = example.strip().rpartition(f"{relay}  ")[2]
    refused = [Entry("", relay, report, NOW, reason)]
    lines = [click.unstyle(each) for each in _listing(waiting, refused, None, UTC)]
    assert lines == f"HAPPENED{example}".splitlines()


def test_the_list_has_no_reasons_where_nothing_was_refused() -> None:
    entries = [Entry("", URL, started(job="a\x1b[1m"), NOW)]
    headings, line = [click.unstyle(each) for each in _listing(entries, [], 200, UTC)]
    assert headings.split() == ["HAPPENED", "STATE", "JOB", "REPORT", "RELAY"]
    assert line.split()[2:] == ["waiting", '"a\\x1b[1m"', "started", URL]


# exec.md: 16
def test_a_spool_is_listed(spool: Spool, state: dict[str, str]) -> None:
    for report in (finished(NOW, job="backup"), started(NOW - 60, job="sync")):
        spool.keep(report, URL, NOW)
    spool.set_aside(spool.waiting()[0], "never")
    done = run("spool", "list", **state)
    assert (done.returncode, done.stderr) == (0, "")
    first, second = [line.split() for line in done.stdout.splitlines()[1:]]
    assert first[2:] == ["waiting", "backup", "success", URL, "-"]
    assert second[2:] == ["refused", "sync", "started", URL, "never"]


def test_a_list_as_json_has_the_documents(spool: Spool, state: dict[str, str]) -> None:
    report = finished()
    spool.keep(report, URL, NOW)
    done = call("spool", "list", "--output", "json", **state)
    [entry] = json.loads(done.stdout)
    assert Path(entry.pop("path")).is_file()
    assert entry == {
        "url": URL,
        "run_id": report.run_id,
        "spooled_at": NOW,
        "reason": None,
        "document": report.document,
    }


def test_an_empty_spool_is_said_to_be_empty(state: dict[str, str]) -> None:
    done = call("spool", "list", **state)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "no reports wait, and none was refused\n"
    assert call("spool", "list", "--output", "json", **state).stdout == "[]\n"


def test_broken_files_are_listed_with_what_is_wrong(
    spool: Spool, state: dict[str, str]
) -> None:
    spool.keep(finished(), URL, NOW)
    [path] = map(Path, spool.paths())
    path.write_text("{")
    done = call("spool", "list", **state)
    assert done.returncode == 0
    assert "refused  -" in done.stdout
    assert f"its file is no JSON; have a look at {path.parent}/refused/" in done.stdout


# exec.md: 14
def test_a_spool_is_delivered_to_a_relay(
    spool: Spool, state: dict[str, str], start_relay: StartRelay
) -> None:
    relay = start_relay()
    url = f"http://{relay.address}"
    reports = [Report(new_id(), make("nightly")) for make in (start, finish)]
    for report in reports:
        spool.keep(report, url, time.time())
    done = call("spool", "flush", "--url", url, **state)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"delivered 2 reports to {url}\n"
    states = [run_of(relay, report.run_id)["state"] for report in reports]
    assert states == ["started", "finished"]
    again = call("spool", "flush", **state, PUSHRELAY_URL=url)
    assert (again.returncode, again.stdout) == (0, f"no reports wait for {url}\n")


def test_what_is_refused_for_good_is_told_and_kept(
    spool: Spool, state: dict[str, str], relay: Relay, server: CannedServer
) -> None:
    relay.answers["bad"] = problem(410, detail="too\nlate", reason="run_too_old")
    for number, job in enumerate(["a", "bad", "c"]):
        spool.keep(finished(NOW + number, job=job), server.url, NOW)
    done = run("spool", "flush", "--url", server.url, **state)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"delivered 2 reports to {server.url}",
        "1 report refused for good and kept aside",
    ]
    [line] = done.stderr.splitlines()
    assert line.startswith("bad, success, 20")
    assert line.endswith(": refused for good: too late (status 410)")
    assert "too late" in call("spool", "list", **state).stdout
    assert call("spool", "flush", "--url", server.url, **state).returncode == 0


def test_what_the_relay_has_to_say_is_told(
    spool: Spool, state: dict[str, str], relay: Relay, server: CannedServer
) -> None:
    said = {"warnings": ["no such zone"], "metrics_problems": ["line 1: no value"]}
    relay.answers["a"] = data({"id": "", "replayed": False, **said})
    spool.keep(finished(job="a"), server.url, NOW)
    done = call("spool", "flush", "--url", server.url, **state)
    assert done.returncode == 0
    zone, metrics = done.stderr.splitlines()
    assert zone.startswith("a, success, ")
    assert zone.endswith(": no such zone")
    assert metrics.endswith(": line 1: no value")


@pytest.mark.parametrize(
    ("answer", "code", "left", "told"),
    [
        (text(503, "wait\n"), 3, "1 report", "wait"),
        (text(429, "slow\n"), 3, "1 report", "slow"),
        (text(401, "who?\n"), 1, "2 reports", "who?"),
        (text(404, "404 page not found\n"), 1, "2 reports", "the URL of a relay"),
    ],
)
def test_what_may_pass_leaves_reports_waiting(
    answer: Canned,
    code: int,
    left: str,
    told: str,
    spool: Spool,
    state: dict[str, str],
    relay: Relay,
    server: CannedServer,
) -> None:
    relay.answers["b"] = answer
    for number, job in enumerate("abc"):
        spool.keep(finished(NOW + number, job=job), server.url, NOW)
    done = call("spool", "flush", "--url", server.url, **state)
    assert done.returncode == code
    assert done.stdout.splitlines()[1] == f"left {left} for {server.url}"
    assert told in done.stderr
    assert len(spool.waiting()) == int(left[0])


def test_without_a_relay_all_of_it_waits(spool: Spool, state: dict[str, str]) -> None:
    spool.keep(finished(), NOBODY, NOW)
    done = call("spool", "flush", "--url", NOBODY, **state)
    assert (done.returncode, done.stdout) == (3, f"left 1 report for {NOBODY}\n")
    assert "is the relay running" in done.stderr
    assert len(spool.waiting()) == 1


def test_while_another_process_delivers_it_is_left_to_that(
    spool: Spool, state: dict[str, str], server: CannedServer
) -> None:
    spool.keep(finished(), server.url, NOW)
    with spool.locked():
        done = call("spool", "flush", "--url", server.url, **state)
    assert done.returncode == 3
    assert "another process is delivering" in done.stderr
    assert server.asked == []


def test_reports_for_other_relays_are_named_and_left_alone(
    spool: Spool, state: dict[str, str], server: CannedServer
) -> None:
    for url in (server.url, OTHER_URL, URL, URL):
        spool.keep(finished(), url, NOW)
    done = call("spool", "flush", "--url", server.url, **state)
    assert done.returncode == 0
    assert done.stdout.splitlines() == [
        f"delivered 1 report to {server.url}",
        f"left alone 1 report for {OTHER_URL}; if that was this relay's URL, flush "
        f"with --from {OTHER_URL}",
        f"left alone 2 reports for {URL}; if that was this relay's URL, flush with "
        f"--from {URL}",
    ]
    assert len(spool.waiting()) == 3


def test_user_and_password_do_not_make_another_relay(
    spool: Spool, state: dict[str, str], server: CannedServer
) -> None:
    spool.keep(finished(), server.url, NOW)
    url = server.url.replace("//", "//backup:s3cret@")
    done = call("spool", "flush", "--url", url, **state)
    assert done.stdout == f"delivered 1 report to {server.url}\n"


@pytest.mark.parametrize("way", ["option", "file's variable", "variable", "both"])
def test_the_token_is_read_from_a_file_or_the_environment(
    way: str,
    spool: Spool,
    state: dict[str, str],
    relay: Relay,
    server: CannedServer,
    tmp_path: Path,
) -> None:
    relay.token = "s3cret"
    spool.keep(finished(), server.url, NOW)
    file = tmp_path / "token"
    file.write_text("s3cret\n")
    options, environment = {
        "option": (["--token-file", str(file)], {}),
        "file's variable": ([], {"PUSHRELAY_TOKEN_FILE": str(file)}),
        "variable": ([], {"PUSHRELAY_TOKEN": "s3cret"}),
        "both": (["--token-file", str(file)], {"PUSHRELAY_TOKEN": "other"}),
    }[way]
    calling = ["spool", "flush", "--url", server.url, *options]
    done = call(*calling, **state, **environment)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("written", "told"), [(None, "No such file"), (b" \n", "empty"), (b"\xff", "token")]
)
def test_a_token_file_without_a_token_is_a_wrong_call(
    written: bytes | None, told: str, state: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "token"
    if written is not None:
        file.write_bytes(written)
    done = call("spool", "flush", "--token-file", str(file), **state)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_url_that_is_none_is_a_wrong_call(state: dict[str, str]) -> None:
    done = call("spool", "flush", "--url", "ftp://a", **state)
    assert done.returncode == 2
    assert "is no URL of a relay" in done.stderr


def test_what_waits_for_a_wrong_relay_is_delivered_to_the_right_one(
    spool: Spool, state: dict[str, str], relay: Relay, server: CannedServer
) -> None:
    relay.answers["bad"] = problem(410, detail="too late", reason="run_too_old")
    for number, job in enumerate(["a", "bad", "c"]):
        spool.keep(finished(NOW + number, job=job), OTHER_URL, NOW)
    spool.keep(finished(job="d"), server.url, NOW)
    spool.keep(finished(job="e"), URL, NOW)
    # As people write it.
    former = OTHER_URL.replace("//", "//user:s3cret@") + "/"
    done = call("spool", "flush", "--url", server.url, "--from", former, **state)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        f"delivered 2 reports to {server.url}",
        "1 report refused for good and kept aside",
        f"left alone 1 report for {server.url}",
        f"left alone 1 report for {URL}; if that was this relay's URL, flush with "
        f"--from {URL}",
    ]
    assert [json.loads(asked.body)["job"] for asked in server.asked] == [
        "a",
        "bad",
        "c",
    ]
    # Of the relay that refused it.
    assert [entry.url for entry in spool.refused()] == [server.url]
    again = call("spool", "flush", "--url", server.url, "--from", OTHER_URL, **state)
    assert again.stdout.splitlines()[0] == f"no reports wait for {OTHER_URL}"


def test_without_a_relay_it_waits_on_for_the_one_it_was_for(
    spool: Spool, state: dict[str, str]
) -> None:
    spool.keep(finished(), URL, NOW)
    done = call("spool", "flush", "--url", NOBODY, "--from", URL, **state)
    assert (done.returncode, done.stdout) == (3, f"left 1 report for {URL}\n")
    assert [entry.url for entry in spool.waiting()] == [URL]
