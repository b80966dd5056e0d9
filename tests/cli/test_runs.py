from __future__ import annotations

import json
from datetime import UTC, datetime

import click
import pytest
from canned_runs import BAD, FULL, ID, Runs, run_document, started
from canned_server import CannedServer, problem
from command import call, run, run_on_terminal
from relay_process import REPOSITORY

from pushrelay.cli.runs import _history
from pushrelay.cli.sparkline import BARS, OUTCOME_COLOURS
from pushrelay.store.run_list import STATES

HISTORY = [
    started(0),
    run_document(1, outcome="failure", exit_code=3, duration_seconds=9.5),
    run_document(2, outcome="signal", exit_code=None, signal=9, host=None),
    run_document(3, outcome="success", exit_code=None, duration_seconds=None),
    {**started(4), "abandoned": True},
]


def test_all_states_are_known() -> None:
    assert {*OUTCOME_COLOURS} == {*STATES}


def test_the_example_in_the_docs_is_such_a_history() -> None:
    page = (REPOSITORY / "docs/cli.md").read_text()
    example = page.partition("DURATIONS")[2].partition("```")[0].splitlines()
    runs = []
    for written in example[3:]:
        day, clock, took, outcome, code, id_, host = written.split()
        at = datetime.fromisoformat(f"{day}T{clock}Z").timestamp()
        ended = {"outcome": outcome, "exit_code": int(code), "host": host}
        took_seconds = float(took.removesuffix("s"))
        more = {"id": id_, "started_at": at, "duration_seconds": took_seconds}
        runs.append(run_document(**ended, **more))
    bars, *lines = [click.unstyle(each) for each in _history(runs, BARS, None, UTC)]
    assert lines == example[1:]
    assert bars == "DURATIONS" + example[0]


def test_the_history() -> None:
    lines = [click.unstyle(each) for each in _history(HISTORY, BARS, None, UTC)]
    assert lines == [
        "DURATIONS    ▇▂ ",
        "",
        "STARTED              DURATION  OUTCOME    EXIT     "
        "ID                                    HOST",
        f"2023-11-14 22:13:20         -  running    -        {ID.format(0)}  db1",
        f"2023-11-14 21:13:20      9.5s  failure    3        {ID.format(1)}  db1",
        f"2023-11-14 20:13:20     41.2s  signal     SIGKILL  {ID.format(2)}  -",
        f"2023-11-14 19:13:20         -  success    -        {ID.format(3)}  db1",
        f"2023-11-14 18:13:20         -  abandoned  -        {ID.format(4)}  db1",
    ]


def test_the_history_tells_runs_with_other_labels_apart() -> None:
    runs = [
        run_document(0, labels={"instance": "db1", "db": "main"}, host=None),
        run_document(1, labels={"instance": BAD}),
        run_document(2),
    ]
    _, _, *lines = [click.unstyle(each) for each in _history(runs, BARS, None, UTC)]
    ends = [each[each.rindex("HOST") :] for each in lines[:1]]
    assert ends == ["HOST  LABELS"]
    assert [each.split()[-2:] for each in lines[1:]] == [
        ["-", "db=main,instance=db1"],
        ["db1", "instance=?]0;x??"],
        ["db1", "-"],
    ]


def test_without_runs_there_is_nothing_to_draw() -> None:
    [headings] = _history([], BARS, None, UTC)
    assert headings.startswith("STARTED")
    assert len(list(_history([started()], BARS, None, UTC))) == 2


def test_that_there_are_no_runs_is_told() -> None:
    with CannedServer(Runs()) as server:
        done = call("runs", "backup", "--url", server.url)
    assert (done.returncode, done.stderr) == (0, "no such runs are known\n")
    assert done.stdout == ""


def test_a_time_that_is_none_is_asked_for_as_what_it_means() -> None:
    done = call("runs", "backup", "--since=7")
    assert done.stderr.endswith("Unix seconds, or how long ago, such as 7d\n")


def test_the_bars_of_the_last_runs_fit_the_terminal() -> None:
    runs = [run_document(n, duration_seconds=1.0 if n else 100.0) for n in range(200)]
    first, *_ = _history(runs, BARS, 40, UTC)
    assert first == "DURATIONS  " + "▁" * 28 + "▇"


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
