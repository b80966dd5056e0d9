from __future__ import annotations

import json

import click
import pytest
from canned_runs import BAD, FULL, HISTORY, ID, Runs, run_document
from canned_server import CannedServer, problem
from command import call, run, run_on_terminal
from relay_process import HTTPClient
from run_http import finish, new_id, report

from pushrelay.cli.sparkline import OUTCOME_COLOURS
from pushrelay.store.run_list import STATES


def test_all_states_are_known() -> None:
    assert {*OUTCOME_COLOURS} == {*STATES}


def test_that_there_are_no_runs_is_told() -> None:
    with CannedServer(Runs()) as server:
        done = call("runs", "backup", "--url", server.url)
    assert (done.returncode, done.stderr) == (0, "no such runs are known\n")
    assert done.stdout == ""


def test_a_time_that_is_none_is_asked_for_as_what_it_means() -> None:
    done = call("runs", "backup", "--since=7")
    assert done.stderr.endswith("Unix seconds, or how long ago, such as 7d\n")


@pytest.mark.parametrize(
    ("arguments", "job"),
    [
        (["backup"], "backup"),
        (["list", "backup"], "backup"),
        (["list", "show"], "show"),
        (["--", "show"], "show"),
        (["--limit=20", "list"], "list"),
    ],
)
def test_a_job_is_named_first_or_behind_list(arguments: list[str], job: str) -> None:
    with CannedServer(Runs()) as server:
        done = call("runs", *arguments, PUSHRELAY_URL=server.url)
    assert done.returncode == 0, done.stderr
    [asked] = server.asked
    assert asked.parameters == {"job": [job], "limit": ["20"]}


def test_what_is_asked_is_passed_on() -> None:
    with CannedServer(Runs()) as server:
        call(
            *("runs", "--state=running", "--since=7d", "backup", "--limit=3"),
            *("--url", server.url),
        )
        call("runs", "backup", "--since=2023-11-14T22:13:20Z", "--url", server.url)
    assert [asked.parameters for asked in server.asked] == [
        {"job": ["backup"], "state": ["running"], "since": ["7d"], "limit": ["3"]},
        {"job": ["backup"], "since": ["1700000000.000000"], "limit": ["20"]},
    ]


def test_by_default_the_last_twenty_are_shown() -> None:
    with CannedServer(Runs(*map(run_document, range(30)))) as server:
        done = run("runs", "backup", "--url", server.url)
        everything = call("runs", "backup", "--all", "--url", server.url)
    bars, empty, _, *rows = done.stdout.splitlines()
    assert (bars, empty, len(rows)) == ("DURATIONS  " + "▇" * 20, "", 20)
    assert done.stderr == "the last 20 runs; --all shows all\n"
    assert len(everything.stdout.splitlines()) == 33
    assert everything.stderr == ""


def test_json_is_an_array_of_run_documents() -> None:
    with CannedServer(Runs(*HISTORY)) as server:
        done = call("runs", "backup", "--output=json", "--url", server.url)
    assert json.loads(done.stdout) == HISTORY


def test_failures_are_marked_on_a_terminal_only() -> None:
    with CannedServer(Runs(*HISTORY)) as server:
        _, shown = run_on_terminal("", "runs", "backup", "--url", server.url)
        piped = run("runs", "backup", "--url", server.url)
    assert "DURATIONS    \x1b[31m▇\x1b[0m\x1b[31m▂\x1b[0m" in shown
    assert "\x1b" not in piped.stdout


def test_outputs_without_bars_get_ascii() -> None:
    with CannedServer(Runs(*HISTORY)) as server:
        done = run("runs", "backup", "--url", server.url, PYTHONIOENCODING="ascii")
    assert done.stdout.startswith("DURATIONS    #: \n")


def test_one_run_is_shown_by_its_id() -> None:
    with CannedServer(Runs(FULL)) as server:
        done = run("runs", "show", ID.format(0), "--url", server.url)
        document = call(
            *("runs", "show", ID.format(0), "--output=json", "--url", server.url)
        )
        gone = call("runs", "show", ID.format(1), "--url", server.url)
        wrong = call("runs", "show", "a\x1b", "--url", server.url)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert json.loads(document.stdout) == FULL
    assert gone.returncode == 1
    assert "no such run" in gone.stderr
    assert wrong.returncode == 2
    assert '"a\\x1b" is no id of a run: write the UUID that `pushr' in wrong.stderr
    assert len(server.asked) == 3


def test_the_beginning_of_an_id_is_enough_if_it_is_of_one_run() -> None:
    number = "12345678-0000-4000-8000-000000000000"
    other = run_document(id=number, job="a\x1bb")
    with CannedServer(Runs(FULL, other, *HISTORY[1:])) as server:
        done = call("runs", "show", "1234", "--output=json", "--url", server.url)
        several = call("runs", "show", "0189F0A4-0000", "--url", server.url)
        none = call("runs", "show", "4321", "--url", server.url)
    assert json.loads(done.stdout) == other
    assert [asked.target for asked in server.asked[:2]] == [
        "/api/v1/runs?id=1234&limit=10",
        f"/api/v1/runs/{number}",
    ]
    assert (several.returncode, none.returncode) == (1, 1)
    told, headings, *lines = several.stderr.splitlines()
    assert told == (
        "Error: several runs have ids that begin with 0189F0A4-0000; write more of one:"
    )
    assert headings.split() == ["ID", "STARTED", "OUTCOME", "JOB"]
    assert [line.split()[0] for line in lines] == [ID.format(n) for n in range(5)]
    assert none.stderr == "Error: no run is known whose id begins with 4321\n"


def test_of_many_ids_that_begin_alike_some_are_told() -> None:
    with CannedServer(Runs(*map(run_document, range(30)))) as server:
        done = call("runs", "show", ID.format(0)[:30], "--url", server.url)
    _, _, *lines, last = done.stderr.splitlines()
    assert (len(lines), last) == (10, "  and more")


def test_the_last_run_of_a_job_is_shown_without_its_id() -> None:
    with CannedServer(Runs(FULL)) as server:
        done = call("runs", "show", "--last", "backup", "--url", server.url)
        call("runs", "show", "--last=a b", "--state=failure", "--url", server.url)
    assert done.stdout.splitlines()[0] == f"run        {ID.format(0)}"
    asked = [asked.parameters for asked in server.asked]
    assert asked == [
        {"job": ["backup"], "limit": ["1"]},
        {},
        {"job": ["a b"], "state": ["failure"], "limit": ["1"]},
        {},
    ]
    with CannedServer(Runs()) as server:
        none = call("runs", "show", "--last", "backup", "--url", server.url)
    assert (none.returncode, none.stderr) == (1, "Error: no such runs are known\n")


def test_what_a_list_shows_on_a_terminal_can_be_shown(relay: HTTPClient) -> None:
    ids = [new_id() for _ in range(2)]
    for id_, outcome in zip(ids, ["failure", "success"], strict=True):
        fields = {"host": "a-host.example.org", "labels": {"instance": "i"}}
        report(relay, finish("shown", outcome, **fields), id_)
    url = ("--url", f"http://{relay.address}")
    _, shown = run_on_terminal("", "runs", "shown", "--limit=1", *url)
    *_, line, more = shown.splitlines()
    assert more == "the last 1 runs; --all shows all"
    assert click.unstyle(line).split()[-1] in ids
    assert max(len(click.unstyle(each)) for each in shown.splitlines()) <= 80
    failed = call("runs", "show", "--last", "shown", "--state", "failure", *url)
    assert failed.stdout.split()[1] == ids[0]
    assert call("runs", "show", ids[1][:23], *url).stdout.split()[1] == ids[1]


def test_nothing_that_is_shown_has_the_terminal_do_anything() -> None:
    bad = run_document(
        **dict.fromkeys(("job", "host", "outcome", "trace_id", "exit_code"), BAD),
        labels={BAD: BAD},
        signal=BAD,
        attempt=BAD,
        output_tail={"stdout": BAD + "\x9b2J\x85\u2028", "stderr": f"\r{BAD}\x0b"},
        metrics_problems=[BAD],
        expectation={BAD: BAD},
        usage={"block_reads": BAD},
    )
    with CannedServer(Runs(bad)) as server:
        shown = run("runs", "show", ID.format(0), "--url", server.url)
        listed = run("runs", "backup", "--url", server.url)
    for done in (shown, listed):
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.replace("\n", "").isprintable()


@pytest.mark.parametrize(
    "arguments",
    [
        [""],
        ["a", "b"],
        ["a", "--state=gone"],
        ["a", "--since=yesterday"],
        ["a", "--limit=0"],
        ["a", "--limit=1", "--all"],
        ["show"],
        ["show", ""],
        ["show", "abc"],
        ["show", "backup"],
        ["show", "--last="],
        ["show", "--last=backup", ID.format(0)],
        ["show", "--state=failure"],
        ["show", ID.format(0), "--state=failure"],
    ],
)
def test_a_wrong_call_asks_no_relay(arguments: list[str]) -> None:
    with CannedServer(Runs()) as server:
        done = call("runs", *arguments, "--url", server.url)
    assert done.returncode == 2
    assert server.asked == []


def test_a_relay_that_cannot_for_now_is_told_apart() -> None:
    with CannedServer(lambda _: problem(503, reason="x", detail="busy")) as server:
        for arguments in (["backup"], ["show", ID.format(0)]):
            assert call("runs", *arguments, "--url", server.url).returncode == 3
