"""`pushrelay spool discard`, with spools in real directories."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import call, run_on_terminal
from spooled import NOW, OTHER_URL, URL, finished, started

from pushrelay.wrapper.spool import Spool


@pytest.fixture
def state(tmp_path: Path) -> dict[str, str]:
    """The environment of the commands."""
    return {"PUSHRELAY_STATE_DIR": str(tmp_path / "state")}


@pytest.fixture
def spool(state: dict[str, str]) -> Spool:
    return Spool([state["PUSHRELAY_STATE_DIR"]])


@pytest.fixture
def full_spool(spool: Spool) -> Spool:
    """A spool with a report that waits and one that was refused, of each relay."""
    for url in (URL, OTHER_URL):
        for job in ("waiting", "refused"):
            spool.keep(finished(NOW, job=job), url, NOW)
        [entry] = [
            e for e in spool.waiting(url) if e.report.document["job"] == "refused"
        ]
        spool.set_aside(entry, "never")
    return spool


def test_what_nobody_wants_is_discarded(
    full_spool: Spool, state: dict[str, str]
) -> None:
    # As people write it.
    done = call("spool", "discard", "--url", f"{URL}/", "--yes", **state)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "discarded 2 reports\n"
    left = [*full_spool.waiting(), *full_spool.refused()]
    assert [entry.url for entry in left] == [OTHER_URL] * 2
    assert call("spool", "discard", "--all", "--yes", **state).returncode == 0
    assert full_spool.waiting() == full_spool.refused() == []
    none = call("spool", "discard", "--all", "--yes", **state)
    assert (none.returncode, none.stderr) == (0, "no such reports are kept\n")


def test_what_would_be_lost_is_shown_before(
    full_spool: Spool, state: dict[str, str]
) -> None:
    code, shown = run_on_terminal("n\n", "spool", "discard", "--all", **state)
    assert code == 1
    typed, told, headings, *rows = shown.splitlines()
    assert typed == "n"
    assert told == "4 reports would be lost"
    assert headings.split()[:3] == ["HAPPENED", "STATE", "JOB"]
    assert [row.count("waiting") for row in rows[:4]] == [2, 2, 0, 0]
    assert "Discard 4 reports? [y/N]: " in shown
    assert "Aborted!" in shown
    done = call("spool", "discard", "--all", "--dry-run", **state)
    assert done.stdout.splitlines()[0] == told
    assert len(full_spool.waiting()) == len(full_spool.refused()) == 2
    code, _ = run_on_terminal("y\n", "spool", "discard", "--url", URL, **state)
    assert code == 0
    assert [entry.url for entry in full_spool.waiting()] == [OTHER_URL]


def test_of_many_losses_the_first_are_shown(
    spool: Spool, state: dict[str, str]
) -> None:
    for number in range(25):
        spool.keep(started(NOW + number), URL, NOW)
    done = call("spool", "discard", "--all", "--dry-run", **state)
    told, _, *rows, more = done.stdout.splitlines()
    assert (told, len(rows), more) == ("25 reports would be lost", 20, "and 5 more")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--yes"], "either --url"),
        (["--url", URL, "--all", "--yes"], "either --url"),
        (["--url", "ftp://a", "--yes"], "is no URL of a relay"),
        (["--all"], "nobody can be asked"),
    ],
)
def test_a_wrong_call_discards_nothing(
    arguments: list[str], told: str, full_spool: Spool, state: dict[str, str]
) -> None:
    # It is not meant for the relay that the environment names.
    done = call("spool", "discard", *arguments, PUSHRELAY_URL=URL, **state)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(full_spool.waiting()) == len(full_spool.refused()) == 2


def test_what_cannot_be_discarded_is_told(
    full_spool: Spool, state: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlink(path: str) -> None:
        raise PermissionError(1, "not yours", path)

    monkeypatch.setattr("pushrelay.wrapper.spool.os.unlink", unlink)
    done = call("spool", "discard", "--all", "--yes", **state)
    assert done.returncode == 1
    assert done.stderr.endswith(": not yours\n")
