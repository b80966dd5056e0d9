"""Real shells complete commands and options of pushrelay."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.shell_completion import CompletionItem, ShellComplete
from command import call
from relay_process import REPOSITORY
from waiting import DEADLINE

from pushrelay.cli.completion import VARIABLE
from pushrelay.cli.main import cli


def needs(shell: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not shutil.which(shell), reason=f"needs {shell}")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment with a `pushrelay`, and little else."""
    program = tmp_path / "pushrelay"
    program.write_text(
        f"#!{sys.executable}\nfrom pushrelay.__main__ import main\nmain()\n"
    )
    program.chmod(0o755)
    return {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "PYTHONPATH": str(REPOSITORY),
        "HOME": str(tmp_path),
        "TERM": "dumb",
    }


def script(shell: str, directory: Path, name: str = "completion") -> Path:
    """Return a file with the script for `shell`."""
    done = call("completion", shell)
    assert (done.returncode, done.stderr) == (0, "")
    file = directory / name
    file.write_text(done.stdout)
    return file


def completed(*command: str, environment: dict[str, str]) -> list[str]:
    """Return the first words of the lines that `command` prints."""
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=DEADLINE
    )
    assert (done.returncode, done.stderr) == (0, "")
    return [line.split()[0] for line in done.stdout.splitlines()]


@pytest.mark.system
@needs("bash")
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (("co",), ["completion"]),
        (("jobs", "--ch"), ["--check"]),
        (("exec", "--schedu"), ["--schedule"]),
        (("completion", "z"), ["zsh"]),
    ],
)
def test_bash_completes(
    words: tuple[str, ...],
    found: list[str],
    tmp_path: Path,
    environment: dict[str, str],
) -> None:
    asked = (
        f"source {script('bash', tmp_path)}; COMP_WORDS=(pushrelay {' '.join(words)}); "
        f"COMP_CWORD={len(words)}; "
        '_pushrelay_completion pushrelay; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    shell = ("bash", "--noprofile", "--norc", "-c", asked)
    assert completed(*shell, environment=environment) == found


@pytest.mark.system
@needs("fish")
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("pushrelay compl", ["completion"]),
        ("pushrelay jobs --ch", ["--check"]),
    ],
)
def test_fish_completes(
    line: str, found: list[str], tmp_path: Path, environment: dict[str, str]
) -> None:
    file = script("fish", tmp_path)
    asked = f"source {file}; complete -C '{line}'"
    shell = ("fish", "--no-config", "-c", asked)
    assert completed(*shell, environment=environment) == found


@pytest.mark.system
@needs("zsh")
@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("pushrelay compl\t", "pushrelay completion "),
        ("pushrelay jobs --ch\t", "pushrelay jobs --check "),
    ],
)
def test_zsh_completes(
    typed: str, shown: str, tmp_path: Path, environment: dict[str, str]
) -> None:
    functions = tmp_path / "functions"
    functions.mkdir()
    script("zsh", functions, "_pushrelay")
    # As zsh comes by it from $fpath.
    prepare = f"fpath=({functions} $fpath); autoload -Uz compinit; compinit -u -D"
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    try:
        os.write(ours, f"{prepare}; echo re''ady\n".encode())
        read_until(ours, "ready\r\n")
        os.write(ours, typed.encode())
        read_until(ours, shown)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def read_until(terminal: int, text: str) -> None:
    """Read what `terminal` shows until `text` is in it."""
    shown = ""
    deadline = time.monotonic() + DEADLINE
    while text not in shown and time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            shown += os.read(terminal, 4096).decode(errors="replace")
    assert text in shown, shown


def test_only_shells_that_are_known_have_scripts() -> None:
    done = call("completion", "csh")
    assert done.returncode == 2
    assert "'bash', 'zsh', 'fish'" in done.stderr


def offered(*words: str) -> list[CompletionItem]:
    """Return what is offered for the last of `words` behind `pushrelay exec`."""
    shell = ShellComplete(cli, {}, "pushrelay", VARIABLE)
    return shell.get_completions(["exec", *words[:-1]], words[-1])


def test_a_command_is_a_program_and_then_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, mode in (("backup-all", 0o755), ("backup-notes", 0o644)):
        (tmp_path / name).touch(mode)
    monkeypatch.setenv("PATH", f"{tmp_path}:{tmp_path / 'none'}:{tmp_path}")
    found = offered("--job", "x", "--", "backup")
    assert [item.value for item in found] == ["backup-all"]
    assert not offered("--", "no")
    for words in (("--", "/usr/b"), ("--", "backup-all", "no")):
        [item] = offered(*words)
        assert (item.type, item.value) == ("file", words[-1])
