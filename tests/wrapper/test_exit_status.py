"""`pushrelay exec` ends as its command ended."""

from __future__ import annotations

import resource
import signal
from pathlib import Path

import pytest
from wrapped import PYTHON, environment, run, wrapped

# Programs cannot be ended by them, or not by that.
HARMLESS = {
    signal.SIGCHLD,
    signal.SIGCONT,
    signal.SIGURG,
    signal.SIGWINCH,
    signal.SIGSTOP,
    signal.SIGTSTP,
    signal.SIGTTIN,
    signal.SIGTTOU,
}
DEADLY = sorted(signal.valid_signals() - HARMLESS)


# Many runs in little time: the interpreter starts once.
SWEEP = """
import os, sys
from pushrelay.wrapper import main, run_reports, textfile
options, commands = sys.argv[1:sys.argv.index("--") + 1], sys.stdin.read().splitlines()
for command in commands:
    pid = os.fork()
    if pid == 0:
        main.main([*options, "sh", "-c", command])
    status = os.waitpid(pid, 0)[1]
    print(os.waitstatus_to_exitcode(status), os.WCOREDUMP(status))
"""


def sweep(commands: list[str], directory: Path) -> list[str]:
    """Return how each of `commands` for a shell ends: its exit code, or the signal as
    a negative number, and whether there is a core dump of it."""

    def allow_dumps() -> None:
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    # No relay and no directory for the results: both take longer than all else.
    nowhere = str(directory / "none")
    command = [PYTHON, "-c", SWEEP, "--quiet", "--textfile", nowhere, "--"]
    env, text = environment(directory / "state"), "\n".join(commands)
    del env["PUSHRELAY_URL"]
    # To note what hundreds of processes ran takes several times as long as they do.
    env.pop("COVERAGE_PROCESS_CONFIG", None)
    options = {"cwd": directory, "preexec_fn": allow_dumps}
    done = run(command, env, input=text.encode(), **options)
    assert done.stderr == b""
    printed: list[str] = done.stdout.decode().splitlines()
    return printed


# exec.md: 6
@pytest.mark.system
def test_every_exit_code_is_that_of_the_command(tmp_path: Path) -> None:
    commands = [f"exit {code}" for code in range(256)]
    assert sweep(commands, tmp_path) == [f"{code} False" for code in range(256)]


# exec.md: 6
@pytest.mark.system
def test_every_deadly_signal_is_that_of_the_command_and_leaves_no_core_dump(
    tmp_path: Path,
) -> None:
    # Dumps of the command are its own matter.
    commands = [f"ulimit -S -c 0; kill -{number} $$" for number in DEADLY]
    assert sweep(commands, tmp_path) == [f"-{number} False" for number in DEADLY]
    assert list(tmp_path.glob("core*")) == []


@pytest.mark.parametrize("code", [0, 1, 2, 75, 124, 125, 126, 127, 128, 137, 255])
def test_exit_codes_of_others_are_as_good(tmp_path: Path, code: int) -> None:
    env = environment(tmp_path / "state")
    assert run(wrapped("sh", "-c", f"exit {code}"), env).returncode == code


@pytest.mark.parametrize("number", [1, 2, 9, 11, 13, 15, 34])
def test_a_parent_sees_the_signal(tmp_path: Path, number: int) -> None:
    env = environment(tmp_path / "state")
    done = run(wrapped("sh", "-c", f"ulimit -c 0; kill -{number} $$"), env)
    assert (done.returncode, done.stderr) == (-number, b"")


def test_a_shell_sees_the_status_that_it_has_for_the_signal(tmp_path: Path) -> None:
    command = wrapped("sh", "-c", "kill -9 $$")
    env = environment(tmp_path / "state")
    done = run(["bash", "-c", '"$@"; echo $?', "bash", *command], env)
    assert done.stdout == b"137\n"


@pytest.mark.parametrize("ignored", [signal.SIGTERM, signal.SIGHUP])
def test_it_dies_even_by_signals_that_are_ignored_or_blocked_here(
    tmp_path: Path, ignored: signal.Signals
) -> None:
    def ignore() -> None:
        signal.signal(ignored, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [ignored])

    die = (
        "import os, signal; n = int(os.environ['N']); signal.signal(n, signal.SIG_DFL);"
        "signal.pthread_sigmask(signal.SIG_UNBLOCK, [n]); os.kill(os.getpid(), n)"
    )
    env = environment(tmp_path / "state", N=str(int(ignored)))
    done = run(wrapped(PYTHON, "-c", die), env, preexec_fn=ignore)
    assert done.returncode == -ignored
