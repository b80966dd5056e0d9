from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import call, run, run_on_terminal
from relay_process import REPOSITORY

RELAY = "PUSHRELAY_URL=http://relay:9091\n"
LINE = f"{RELAY}0 3 * * * backup\n"
ADOPTED = (
    f"{RELAY}0 3 * * * pushrelay exec --job backup --schedule '0 3 * * *' -- backup\n"
)


def test_a_crontab_comes_from_a_file_or_standard_input(tmp_path: Path) -> None:
    file = tmp_path / "crontab"
    file.write_text(LINE)
    for arguments in ([str(file)], ["-"], []):
        done = call("crontab", "--pushrelay=pushrelay", *arguments, stdin=LINE.encode())
        assert (done.returncode, done.stdout, done.stderr) == (0, ADOPTED, "")


def test_bytes_stay_as_they_are() -> None:
    line = RELAY.encode() + b"# \xff\r\n\n0 3 * * *  b\xe4ckup \xfc"
    done = subprocess.run(
        [sys.executable, "-m", "pushrelay", "crontab", "--pushrelay=pushrelay"],
        input=line,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "LC_ALL": "C"},
        capture_output=True,
        check=True,
    )
    put_in = b"pushrelay exec --job b-ckup --schedule '0 3 * * *' -- "
    assert done.stdout == line.replace(b"b\xe4", put_in + b"b\xe4")
    assert done.stderr == b""


def test_remarks_name_their_lines(tmp_path: Path) -> None:
    file = tmp_path / "crontab"
    file.write_text(f"{LINE}61 3 * * * backup\n")
    done = call("crontab", str(file))
    assert done.returncode == 0
    assert done.stdout.endswith("\n61 3 * * * backup\n")
    assert done.stderr.startswith(f"{file}:3: left as it is: ")
    assert "<stdin>:1: left as it is: " in call("crontab", stdin=b"x").stderr


def test_a_crontab_that_names_no_relay_is_told_how_to() -> None:
    done = call("crontab", stdin=LINE.removeprefix(RELAY).encode())
    assert done.stderr.startswith("<stdin>:1: PUSHRELAY_URL is not set above: ")
    assert done.stderr.count("\n") == 1


def test_files_of_the_system_have_users(tmp_path: Path) -> None:
    line = b"0 3 * * *\troot backup\n"
    done = call("crontab", "--system", stdin=line)
    assert done.stdout.startswith("0 3 * * *\troot ")
    assert done.stdout.endswith(" --job backup --schedule '0 3 * * *' -- backup\n")


@pytest.mark.skipif(
    any(os.path.exists(f"{place}/pushrelay") for place in ("/bin", "/usr/bin")),
    reason="cron would find pushrelay",
)
def test_what_cron_does_not_find_is_named_with_its_path(tmp_path: Path) -> None:
    program = tmp_path / "pushrelay"
    program.write_text(
        f"#!{sys.executable}\nfrom pushrelay.__main__ import main\nmain()\n"
    )
    program.chmod(0o755)
    done = subprocess.run(
        ["pushrelay", "crontab"],
        input=LINE,
        env={"PYTHONPATH": str(REPOSITORY), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == ADOPTED.replace("pushrelay", str(program))


def test_what_cron_finds_depends_on_the_path_of_the_crontab(tmp_path: Path) -> None:
    places = {name: tmp_path / name for name in ("ours", "theirs", "none")}
    for name in ("ours", "theirs"):
        places[name].mkdir()
        program = places[name] / "pushrelay"
        program.write_text(
            f"#!{sys.executable}\nfrom pushrelay.__main__ import main\nmain()\n"
        )
        program.chmod(0o755)
    lines = [
        *(f"PATH={places['none']}", "@daily a"),
        *(f"PATH={places['theirs']}:relative", "@daily b"),
        *(f"PATH=$PATH:{places['ours']}", "@daily c"),
        *("PATH=", "@daily d"),
    ]
    done = subprocess.run(
        [places["ours"] / "pushrelay", "crontab"],
        input=RELAY + "\n".join(lines),
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        cwd=places["ours"],
        capture_output=True,
        text=True,
        check=True,
    )
    programs = [line.split()[1] for line in done.stdout.split("\n") if "exec" in line]
    whole = str(places["ours"] / "pushrelay")
    assert programs == [whole, "pushrelay", "pushrelay", whole]


def test_a_terminal_is_not_waited_for() -> None:
    code, shown = run_on_terminal("", "crontab")
    assert code == 2
    assert "crontab -l | pushrelay crontab" in shown


def test_a_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    done = run("crontab", str(tmp_path / "none"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "does not exist" in done.stderr
