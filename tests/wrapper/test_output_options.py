"""What exec does with the output of a command if it is asked to."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from executed import Executor
from noting_relay import TAKEN, NotingRelay, data
from waiting import DEADLINE, wait_until

EXEC = (sys.executable, "-m", "pushrelay", "exec")
SAYS = "echo out; echo err >&2; exit {}"


def test_the_end_of_each_stream_is_reported_and_all_of_it_passed_on(
    executor: Executor, server: NotingRelay
) -> None:
    script = "seq 1000; seq 2000 >&2; exit 3"
    done = executor.run("--output-tail=9", "--", "sh", "-c", script)
    assert done.returncode == 3
    assert done.stdout.split() == [str(n) for n in range(1, 1001)]
    assert done.stderr.split() == [str(n) for n in range(1, 2001)]
    [end] = server.ends()
    assert end["output_tail"] == {"stdout": "999\n1000\n", "stderr": "999\n2000\n"}


def test_without_the_option_no_output_is_reported(
    executor: Executor, server: NotingRelay
) -> None:
    executor.run("--", "sh", "-c", SAYS.format(3))
    [end] = server.ends()
    assert end["output_tail"] is None


@pytest.mark.parametrize(("code", "shown"), [(0, ("", "")), (3, ("out\n", "err\n"))])
def test_output_that_is_held_back_is_shown_if_the_run_fails(
    executor: Executor, code: int, shown: tuple[str, str]
) -> None:
    done = executor.run("--quiet-unless-failed", "--", "sh", "-c", SAYS.format(code))
    assert done.returncode == code
    assert (done.stdout, done.stderr) == shown


def test_what_is_held_back_is_reported_all_the_same(
    executor: Executor, server: NotingRelay
) -> None:
    options = ("--quiet-unless-failed", "--output-tail=1kB")
    done = executor.run(*options, "--", "sh", "-c", SAYS.format(0))
    assert (done.stdout, done.stderr) == ("", "")
    [end] = server.ends()
    assert end["output_tail"] == {"stdout": "out\n", "stderr": "err\n"}


def test_other_codes_of_success_are_quiet_too(executor: Executor) -> None:
    options = ("--quiet-unless-failed", "--success-codes=0,24")
    done = executor.run(*options, "--", "sh", "-c", SAYS.format(24))
    assert (done.returncode, done.stdout, done.stderr) == (24, "", "")


@pytest.mark.parametrize(
    ("succeeds_at", "shown"), [(2, ""), (9, "attempt 1\nattempt 2\nattempt 3\n")]
)
def test_all_attempts_are_shown_if_the_last_one_fails(
    executor: Executor, tmp_path: Path, succeeds_at: int, shown: str
) -> None:
    script = (
        'echo x >> "$1"; n=$(wc -l < "$1"); echo "attempt $n"; '
        f'test "$n" -ge {succeeds_at}'
    )
    options = ("--quiet-unless-failed", "--retries=2", "--retry-delay=1ms")
    file = tmp_path / "attempts"
    done = executor.run(*options, "--", "sh", "-c", script, "sh", str(file))
    assert done.stdout == shown


def test_quiet_of_successes_is_quiet_of_reports_that_come_later(tmp_path: Path) -> None:
    nowhere = Executor(tmp_path, "http://127.0.0.1:1")
    done = nowhere.run("--quiet-unless-failed", "--job=a", "--", "true")
    assert (done.returncode, done.stderr) == (0, "")
    assert nowhere.spooled("a") == ["finished"]
    done = nowhere.run("--quiet-unless-failed", "--job=a", "--", "false")
    assert "the report is kept for later" in done.stderr


def test_quiet_of_successes_tells_what_the_relay_found_wrong(tmp_path: Path) -> None:
    taken = {**TAKEN, "warnings": ["expectation.tz: is no time zone"]}
    with NotingRelay(lambda _: data(taken)) as server:
        executor = Executor(tmp_path, server.url)
        done = executor.run("--quiet-unless-failed", "--job=a", "--", "true")
    assert done.stderr == "pushrelay exec: a: --tz: is no time zone\n"


def test_a_terminal_is_left_to_the_command(server: NotingRelay, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "PUSHRELAY_STATE_DIR": str(tmp_path)}
    arguments = ["--url", server.url, "--output-tail=1kB", "--", "test", "-t", "1"]
    done = subprocess.run(
        [*EXEC, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0
    assert "output is not captured: stdout is a terminal" in done.stderr
    [end] = server.ends()
    assert end["output_tail"] is None


def test_a_text_file_is_written_instead_of_a_report(
    executor: Executor, server: NotingRelay, tmp_path: Path
) -> None:
    script = 'echo "rows 5" >> "$PUSHRELAY_METRICS"; exit 3'
    directory = tmp_path / "collector"
    directory.mkdir()
    options = ("--job=a", "--instance=db1", f"--textfile={directory}")
    done = executor.run(*options, "--", "sh", "-c", script, PUSHRELAY_URL="")
    assert (done.returncode, done.stderr) == (3, "")
    [file] = directory.iterdir()
    lines = file.read_text().splitlines()
    assert 'pushrelay_job_last_exit_code{instance="db1",job="a"} 3' in lines
    assert 'rows{instance="db1",job="a"} 5' in lines
    assert server.asked == []
    assert executor.spooled("a") == []


def test_a_text_file_is_written_beside_a_report_to_a_relay_that_is_named(
    executor: Executor, server: NotingRelay, tmp_path: Path
) -> None:
    done = executor.run(f"--textfile={tmp_path}", "--", "true")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(tmp_path.glob("*.prom"))) == 1
    assert len(server.ends()) == 1


def test_a_text_file_that_cannot_be_written_is_told_and_no_delivery(
    executor: Executor, server: NotingRelay, tmp_path: Path
) -> None:
    options = ("--job=a", f"--textfile={tmp_path}/missing", "--require-report")
    done = executor.run(*options, "--", "true")
    assert done.returncode == 75
    assert done.stderr.startswith(f"pushrelay exec: a: cannot write {tmp_path}/missing")
    assert len(server.ends()) == 1


@pytest.mark.parametrize("option", ["--quiet-unless-failed", "--output-tail=1kB"])
def test_output_that_nobody_reads_does_not_keep_it_from_ending(
    option: str, tmp_path: Path
) -> None:
    over = tmp_path / "over"
    script = 'head -c 60000 /dev/zero; head -c 60000 /dev/zero; touch "$1"; exit 3'
    arguments = ["--quiet", "--url=http://127.0.0.1:1", option, "--", "sh", "-c"]
    process = subprocess.Popen(
        [*EXEC, *arguments, script, "sh", over],
        env={**os.environ, "PUSHRELAY_STATE_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    wait_until(over.exists)
    while process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
    process.communicate()
    assert process.returncode in (3, -signal.SIGTERM)


def test_a_time_limit_holds_where_nobody_reads_the_output(tmp_path: Path) -> None:
    options = ["--quiet", "--url=http://127.0.0.1:1", "--output-tail=1kB"]
    process = subprocess.Popen(
        [*EXEC, *options, "--timeout=100ms", "--", "yes"],
        env={**os.environ, "PUSHRELAY_STATE_DIR": str(tmp_path)},
        stdout=subprocess.PIPE,
    )
    assert process.wait(DEADLINE) == 124
    process.communicate()
