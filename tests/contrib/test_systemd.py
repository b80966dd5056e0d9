"""systemd takes the units of contrib/systemd without a word."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "contrib/systemd"
PROGRAM = "/opt/pushrelay/bin/pushrelay"
NAMES = sorted(path.name for path in UNITS.iterdir() if path.suffix != ".md")

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd"),
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The units, with a program that is there."""
    made = tmp_path_factory.mktemp("units")
    for name in NAMES:
        text = (UNITS / name).read_text()
        (made / name).write_text(text.replace(PROGRAM, "/bin/true"))
    return made


def verify(unit: Path) -> subprocess.CompletedProcess[str]:
    """Ask systemd what it thinks of a unit."""
    command = ["systemd-analyze", "verify", unit]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", NAMES)
def test_the_unit_is_taken(name: str, directory: Path) -> None:
    done = verify(directory / name.replace("@.", "@backup."))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("name", "most"), [("pushrelay.service", 11), ("pushrelay-spool.service", 22)]
)
def test_the_unit_can_do_little(name: str, most: int, directory: Path) -> None:
    analyze = ["systemd-analyze", "security", "--offline=yes", f"--threshold={most}"]
    done = subprocess.run(
        [*analyze, directory / name], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    # A tenth less is too much for it: the figure is not one of long ago.
    analyze[-1] = f"--threshold={most - 1}"
    assert subprocess.run([*analyze, directory / name], capture_output=True).returncode


@pytest.mark.parametrize("kind", ["socket", "service"])
def test_what_the_page_adds_to_the_unit_is_taken(kind: str, directory: Path) -> None:
    page = (UNITS / "README.md").read_text()
    added = rf"^```ini\n(\[{kind.title()}\]\n.*?)^```$"
    texts = re.findall(added, page, re.MULTILINE | re.DOTALL)
    assert texts
    dropped = directory / f"pushrelay.{kind}.d"
    for text in texts:
        dropped.mkdir()
        (dropped / "override.conf").write_text(text)
        done = verify(directory / f"pushrelay.{kind}")
        shutil.rmtree(dropped)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), text


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".timer")])
def test_a_timer_has_its_service(name: str) -> None:
    assert name.replace(".timer", ".service") in NAMES


def test_the_timer_and_the_service_of_a_job_begin_with_the_same_time() -> None:
    service = (UNITS / "pushrelay-job@.service").read_text()
    timer = (UNITS / "pushrelay-job@.timer").read_text()
    assert 'Environment="OnCalendar=*-*-* 03:00" JOB_OPTIONS=\n' in service
    assert "\nOnCalendar=*-*-* 03:00\n" in timer


def test_the_service_of_a_job_reads_when_its_timer_was_told_to_start_it() -> None:
    lines = (UNITS / "pushrelay-job@.service").read_text().splitlines()
    files = [line for line in lines if line.startswith("EnvironmentFile=")]
    # What is said of the job itself comes last and so goes before.
    assert files == [
        "EnvironmentFile=-/etc/systemd/system/pushrelay-job@%i.timer.d/override.conf",
        "EnvironmentFile=/etc/pushrelay/jobs/%i",
    ]
    [command] = [line for line in lines if line.startswith("ExecStart=")]
    assert " --on-calendar ${OnCalendar} $JOB_OPTIONS -- $JOB_COMMAND" in command


def test_the_page_names_every_unit() -> None:
    page = (UNITS / "README.md").read_text()
    assert set(re.findall(r"`(pushrelay[\w@-]*\.(?:service|socket|timer))`", page)) == {
        *NAMES
    }


@pytest.mark.parametrize("name", [name for name in NAMES if name.endswith(".service")])
def test_the_program_is_at_one_place(name: str) -> None:
    lines = (UNITS / name).read_text().splitlines()
    [command] = [line for line in lines if line.startswith("ExecStart=")]
    assert command.startswith(f"ExecStart={PROGRAM} ")
