"""`pushrelay exec` hands on all that a process inherits, and adds three variables."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from relay_process import REPOSITORY
from wrapped import PYTHON, both, environment, run, wrapped

ADDED = (b"PUSHRELAY_RUN_ID=", b"PUSHRELAY_METRICS=", b"TRACEPARENT=")
# The library of C takes what Python's own functions refuse.
EXECUTE = """
import ctypes, os, sys

count = int(sys.argv[1])
entries, command = [
    [os.fsencode(word) for word in words]
    for words in (sys.argv[2:2 + count], sys.argv[2 + count:])
]
strings = [
    (ctypes.c_char_p * (len(list_) + 1))(*list_, None) for list_ in (command, entries)
]
ctypes.CDLL(None).execve(command[0], *strings)
"""


def execute(entries: Sequence[str | bytes], *command: str | bytes) -> list[bytes]:
    """Return the environment that `command` prints with -0 if it is started with
    `entries`."""
    start = [PYTHON, "-c", EXECUTE, str(len(entries)), *entries, *command]
    done = run(start, {})
    assert done.returncode == 0, done.stderr
    printed: list[bytes] = done.stdout.split(b"\0")[:-1]
    return printed


def entries_for(state: Path, *more: str | bytes) -> list[str | bytes]:
    own = {"PYTHONPATH", "PUSHRELAY_STATE_DIR", "PUSHRELAY_URL"}
    env = environment(state)
    return [*more, *(f"{name}={env[name]}" for name in env if name in own)]


# exec.md: 2
@pytest.mark.parametrize(
    "more",
    [
        [],
        ["LANG=C"],
        ["LC_CTYPE=C", "LC_ALL="],
        ["LC_CTYPE=nonsense", "A=1"],
        ["Z=1", "A=2", "M=", "EQUAL=a=b=", "LINES=a\nb\n"],
        ["TWICE=1", "A=1", "TWICE=2", "TWICE=1"],
        [b"BASH_FUNC_f%%=() {  :\n}", b"a-b.c=1", b"\xff\xfe=\x80", b"=x=y", b" = "],
    ],
)
def test_the_environment_is_kept_in_its_order_byte_for_byte(
    tmp_path: Path, more: list[str | bytes]
) -> None:
    entries = entries_for(tmp_path / "state", *more)
    alone = execute(entries, "/usr/bin/env", "-0")
    by_us = execute(entries, *wrapped("/usr/bin/env", "-0"))
    assert by_us[: len(alone)] == alone
    assert [entry for entry in by_us[len(alone) :] if not entry.startswith(ADDED)] == []
    assert len(by_us) == len(alone) + len(ADDED)


def test_what_no_program_finds_by_a_name_does_no_harm(tmp_path: Path) -> None:
    entries = entries_for(tmp_path / "state", "A=1", "no equals sign", "=", "=z", "B=2")
    by_us = execute(entries, *wrapped("/usr/bin/env", "-0"))
    assert by_us[:2] == [b"A=1", b"B=2"]


def test_a_run_within_a_run_has_its_own_variables(tmp_path: Path) -> None:
    env = environment(tmp_path / "state")
    inner = run(wrapped(*wrapped("env", "-0")), env).stdout.split(b"\0")
    outer = run(wrapped("env", "-0"), env).stdout.split(b"\0")
    assert len(inner) == len(outer)


# exec.md: 3
def test_directory_limits_and_standing_are_inherited(tmp_path: Path) -> None:
    def limit() -> None:
        os.umask(0o027)
        os.nice(3)
        resource.setrlimit(resource.RLIMIT_NOFILE, (61, 67))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 4096))

    (tmp_path / "here").mkdir()
    show = (
        "pwd; umask; nice; cat /proc/self/limits /proc/self/cgroup "
        "/proc/self/oom_score_adj; cut -d' ' -f 5-8 /proc/self/stat"
    )
    # The terminal, the session and the process group are those of this process.
    options = {"cwd": tmp_path / "here", "preexec_fn": limit}
    alone, by_us = both(["sh", "-c", show], environment(tmp_path / "state"), **options)
    assert by_us == alone
    assert b"/here\n0027\n" in alone[1]


def test_a_file_that_is_open_can_be_read_and_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a line\n")
    with (tmp_path / "file").open("r+") as file:
        os.dup2(file.fileno(), 43)
    try:
        command = wrapped("bash", "-c", "read -u 43 line; echo got $line >&43")
        done = run(command, environment(tmp_path / "state"), pass_fds=[43])
    finally:
        os.close(43)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "file").read_text() == "a line\ngot a line\n"


# exec.md: 3
@pytest.mark.parametrize("closed", ["", "<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize(
    "options", [[], ["--timeout", "1m"], ["--retries", "1", "--retry-delay", "1ms"]]
)
def test_the_same_files_are_open(
    tmp_path: Path, closed: str, options: list[str]
) -> None:
    show = 'exec ls -mv /proc/self/fd /nowhere >>"$0"'
    command = ["sh", "-c", show, str(tmp_path / "open")]
    for each in (command, wrapped(*command, options=options)):
        start = ["sh", "-c", f'"$@" {closed}', "sh", *each]
        assert run(start, environment(tmp_path / "state")).returncode == 2
    printed = (tmp_path / "open").read_text().splitlines()
    first, *others = [line for line in printed if line[:1].isdigit()]
    assert others == [first] * (2 if "--retries" in options else 1)


def test_nothing_is_said_on_a_closed_stderr(tmp_path: Path) -> None:
    """Its number may be that of another file of the wrapper then."""
    env = environment(tmp_path / "state")
    start = ["sh", "-c", '"$@" 2>&-', "sh", *wrapped("false", options=[])]
    assert run(start, env).returncode == 1


def test_the_command_can_notify_systemd(tmp_path: Path) -> None:
    notify = (
        "import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM);"
        "s.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'])"
    )
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.settimeout(30)
        systemd.bind(str(tmp_path / "notify"))
        env = environment(tmp_path / "s", NOTIFY_SOCKET=str(tmp_path / "notify"))
        assert run(wrapped(PYTHON, "-c", notify), env).returncode == 0
        assert systemd.recv(100) == b"READY=1"


# What systemd does: sockets from 3 on, and the id of the process that they are for.
ACTIVATE = 'exec env LISTEN_PID=$$ LISTEN_FDS=1 WATCHDOG_PID=$$ "$@" 3<&0'


# exec.md: 2
@pytest.mark.parametrize("options", [[], ["--output-tail", "1kB"]])
def test_sockets_of_systemd_are_for_the_command(
    tmp_path: Path, options: list[str]
) -> None:
    show = 'test $LISTEN_PID = $$ && test $WATCHDOG_PID = $$ && read x <&3 && echo "$x"'
    command = wrapped("sh", "-c", show, options=["--quiet", *options])
    env = environment(tmp_path / "state")
    done = run(["sh", "-c", ACTIVATE, "sh", *command], env, input=b"it is\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"it is\n", b"")


def test_sockets_of_others_are_not_for_the_command(tmp_path: Path) -> None:
    env = environment(tmp_path / "state", LISTEN_PID="1", LISTEN_FDS="1")
    done = run(wrapped("sh", "-c", "echo $LISTEN_PID $LISTEN_FDS"), env)
    assert done.stdout == b"1 1\n"


def test_the_token_is_in_no_command_line(tmp_path: Path) -> None:
    token = "s3cret-" + "x" * 20
    look = "cat /proc/[0-9]*/cmdline"
    env = environment(tmp_path / "state", PUSHRELAY_TOKEN=token)
    (tmp_path / "token").write_text(token)
    for more in ([], ["--token-file", str(tmp_path / "token")]):
        done = run(wrapped("sh", "-c", look, options=["--quiet", *more]), env)
        assert b"pushrelay" in done.stdout
        assert token.encode() not in done.stdout


# exec.md: 2
@pytest.mark.parametrize("hides", [False, True])
def test_the_token_is_hidden_from_the_command_if_wanted(
    tmp_path: Path, hides: bool
) -> None:
    env = environment(tmp_path / "state", PUSHRELAY_TOKEN="s3cret")
    options = ["--quiet", "--hide-token"] if hides else ["--quiet"]
    done = run(wrapped("env", options=options), env)
    assert (b"s3cret" in done.stdout) is not hides


@pytest.mark.parametrize("name", ["resource", "json", "http", "typing", "threading"])
def test_modules_that_are_meant_for_the_command_are_not_ours(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / "modules").mkdir()
    (tmp_path / f"modules/{name}.py").write_text("raise SystemExit(9)")
    paths = f"{tmp_path}/modules:{REPOSITORY}"
    done = run(
        wrapped("sh", "-c", 'echo "$PYTHONPATH"; exit 3', options=[]),
        environment(tmp_path / "state", PYTHONPATH=paths),
    )
    assert (done.returncode, done.stdout.decode()) == (3, f"{paths}\n")
    assert b"the report is kept for later" in done.stderr
