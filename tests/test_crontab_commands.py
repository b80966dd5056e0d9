"""Commands of a crontab stay the same behind `pushrelay exec`.

They are run as cron would, by a shell, with a `pushrelay` that only runs what is behind
the dashes.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pushrelay.crontab import adopt

NIGHT = "30 2 * * * "


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with programs that may be run with anything."""
    made = tmp_path_factory.mktemp("commands")
    programs = {
        "pushrelay": 'while [ "$1" != -- ]; do shift; done; shift; exec "$@"',
        "show": 'printf "<%s>" "$#" "$0" "$@" "$A"; [ $# -lt 3 ]',
        "read": "exec /bin/cat",
        "unsaid": "case $BASH in */bash) echo bash;; *) echo sh; esac",
    }
    for name, script in programs.items():
        says = "" if name == "unsaid" else "#!/bin/sh\n"
        (made / name).write_text(f"{says}{script}\n")
        (made / name).chmod(0o755)
    return made


def as_cron(line: str) -> tuple[str, str]:
    """Return the command of `line` and its standard input as Debian's cron reads it."""
    text = line.removeprefix(NIGHT)
    command = ""
    position = 0
    while position < len(text) and text[position] != "%":
        pair = text[position : position + 2]
        command += pair[1] if pair in ("\\%", "\\\\") else pair[:1]
        position += 1
        if pair[0] == "\\" and len(pair) == 2:
            command += "" if pair[1] in "%\\" else pair[1]
            position += 1
    return command, text[position + 1 :].replace("%", "\n")


def outcome(line: str, directory: Path, shell: str) -> tuple[bytes, int, list[str]]:
    """Return what comes of `line`: its output, its exit status, and new files."""
    command, stdin = as_cron(line)
    place = directory / "place"
    place.mkdir()
    done = subprocess.run(
        [shell, "-c", command],
        input=stdin.encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=place,
        env={"PATH": str(directory), "A": "a  b;$x", "SHELL": shell},
        timeout=60,
    )
    files = sorted(place.iterdir())
    contents = [f"{file.name}: {file.read_text()}" for file in files]
    for file in files:
        file.unlink()
    place.rmdir()
    return done.stdout, done.returncode, contents


def assert_same(command: str, directory: Path, shell: str) -> None:
    original = NIGHT + command
    text, _ = adopt(f"SHELL={shell}\n{original}")
    line = text.split("\n")[1]
    assert " exec --job " in line
    assert outcome(line, directory, shell) == outcome(original, directory, shell)


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
@pytest.mark.parametrize(
    "command",
    [
        'show a \'b  c\' "d\'e" f\\ g \\\\h "\\$x"',
        'show $A "$A" \'$A\' ${A} "${A}"',
        "show a\\%b 'c\\%d' \"e\\%f\" # don't",
        "show a; show b && show c | read",
        "cd .. && show x >place/made 2>&1; exit 7",
        "show a 'it'\\''s' > made; read <made",
        "A=1 show $A; A=2; show $A",
        "read%one%%two\\%three",
        "cat() { show \"$@\"; }; cat 'a b'",
        "exit 3",
        "no-such-program",
        "./nothing",
        "(show a; exit 5)",
        "echo 'a\\tb'; printf '\\%s\\n' x",
        "show $(show a 'b') `show c`",
        "show a \\",
        "show 'unfinished",
        "show \\\\\\; show b",
        "case $A in a*) show it;; esac",
        "for f in a b; do show $f; done; ! show",
        "show '\\\\' \\\\",
        "show $0 $#",
        "unsaid",
    ],
)
def test_commands_do_the_same(command: str, directory: Path, shell: str) -> None:
    assert_same(command, directory, shell)


SHELL_PIECES = st.sampled_from(
    [
        *("show", "show ", " a", " ", "'", "'b c'", '"', '"d  $A"', "$A", " \\", "\\%"),
        *("; ", " && ", " || ", " | read", " >f", " 2>&1", "%", "\\", "\\;", " A=1 "),
        *("$(show e)", "`show g`", "${A}", "{", "}", "(", ")", "!", " #", "*", "~"),
    ]
)


@pytest.mark.system
@given(st.lists(SHELL_PIECES, max_size=10).map("".join))
@settings(max_examples=150)
def test_any_command_does_the_same(directory: Path, text: str) -> None:
    # What is on both sides of a pipe runs at the same time.
    assume(not ("| read" in text and ">f" in text))
    assert_same("show " + text, directory, "/bin/sh")
