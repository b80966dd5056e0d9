"""`pushrelay exec` passes all words on as they are, and finds the command as others."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from wrapped import both, environment, run, wrapped

WORDS = [
    b"two words",
    b"two\nlines\n",
    b"",
    b" padded ",
    b"\xff\xfe\x80",
    "grüße".encode(),
    b"$HOME `id` \"'*",
    b"--",
    b"--job",
    b"-",
]
SHOW = ["sh", "-c", 'printf "%s\\0" "$@"', "sh"]


# exec.md: 1
@pytest.mark.parametrize("locale", ["C", "C.UTF-8", "xx_XX.ISO-8859-1"])
def test_words_are_passed_on_byte_for_byte(tmp_path: Path, locale: str) -> None:
    env = environment(tmp_path / "state", LC_ALL=locale)
    alone, by_us = both([*SHOW, *WORDS], env)
    assert by_us == alone
    assert by_us[1] == b"\0".join([*WORDS, b""])


def test_a_command_may_begin_with_a_dash(tmp_path: Path) -> None:
    _script(tmp_path / "--job", '#!/bin/sh\necho "$@"')
    env = environment(tmp_path / "state", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert run(wrapped("--job", "--", "x"), env).stdout == b"-- x\n"


# exec.md: 1
def test_the_first_word_that_is_no_option_begins_the_command(tmp_path: Path) -> None:
    command = wrapped("echo", "--quiet", "--", "x")
    command = [word for word in command if word != "--"]
    env = environment(tmp_path / "state")
    assert run([*command[:-1], "--", "x"], env).stdout == b"--quiet -- x\n"


CANNOT_RUN = {
    "not there": (["./nothing"], 127),
    "nowhere on PATH": (["no-such-program"], 127),
    "not executable": (["./plain"], 126),
    "not executable, on PATH": (["plain"], 126),
    "a directory": (["./folder"], 126),
    "below a file": (["./plain/x"], 126),
    "without its interpreter": (["./orphan"], 127),
}


# exec.md: 6
@pytest.mark.parametrize("ignoring", [False, True], ids=["", "ignoring SIGCHLD"])
@pytest.mark.parametrize("case", CANNOT_RUN)
def test_what_cannot_run_gives_the_status_that_shells_and_env_give(
    tmp_path: Path, case: str, ignoring: bool
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "plain").write_text("#!/bin/sh\n")
    _script(tmp_path / "orphan", "#!/no/such/interpreter\n")
    command, status = CANNOT_RUN[case]
    path = f"/usr/bin:/bin:{tmp_path}"
    env = environment(tmp_path / "state", PATH=path)
    options = {"cwd": tmp_path, "preexec_fn": _ignore_children if ignoring else None}
    by_us = run(wrapped(*command), env, **options)
    assert by_us.returncode == run(["env", *command], env, cwd=tmp_path).returncode
    assert by_us.returncode == status
    assert by_us.stdout == b""
    [line] = by_us.stderr.decode().splitlines()
    assert line.startswith(f"pushrelay exec: {command[0]}: ")


# exec.md: 6
def test_a_wrong_call_gives_125_and_runs_nothing(tmp_path: Path) -> None:
    env = environment(tmp_path / "state")
    by_us = run(wrapped("touch", str(tmp_path / "ran"), options=["--nonsense"]), env)
    assert by_us.returncode == 125
    assert len(by_us.stderr.splitlines()) == 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("ignoring", [False, True], ids=["", "ignoring SIGCHLD"])
@pytest.mark.parametrize("name", ["./plain script", "plain script"])
def test_scripts_that_do_not_say_what_reads_them_run_as_in_a_shell(
    tmp_path: Path, name: str, ignoring: bool
) -> None:
    (tmp_path / "first" / "plain script").mkdir(parents=True)
    _script(tmp_path / "plain script", 'printf "%s|" "$0" "$@"; exit 3\n')
    path = f"{tmp_path}/first:{tmp_path}:/usr/bin:/bin"
    env = environment(tmp_path / "state", PATH=path)
    options = {"cwd": tmp_path, "preexec_fn": _ignore_children if ignoring else None}
    command = [name, "a b", ""]
    by_us = run(wrapped(*command), env, **options)
    alone = run(["sh", "-c", '"$@"', "sh", *command], env, cwd=tmp_path)
    assert (by_us.returncode, by_us.stdout) == (alone.returncode, alone.stdout)
    assert by_us.returncode == 3


def _ignore_children() -> None:
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)


def _script(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
