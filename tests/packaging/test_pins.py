"""What is installed is pinned to files: all that setup.cfg asks for, and no more."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Callable
from configparser import ConfigParser
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from requirements.sbom import Pin, pins_of

REPOSITORY = Path(__file__).parents[2]
NAMES = ("build", "runtime", "dev")
FILES = {name: REPOSITORY / f"requirements/{name}.txt" for name in NAMES}


def asked(section: str, option: str) -> list[Requirement]:
    """Return the requirements that setup.cfg has under an option."""
    config = ConfigParser()
    config.read(REPOSITORY / "setup.cfg")
    return [Requirement(line) for line in config[section][option].split("\n") if line]


ALWAYS = asked("options", "install_requires")
POSTGRES = asked("options.extras_require", "postgres")
DEV = asked("options.extras_require", "dev")
BUILD = [
    Requirement(text)
    for text in tomllib.loads((REPOSITORY / "pyproject.toml").read_text())[
        "build-system"
    ]["requires"]
]
ASKED = {
    "build": BUILD,
    "runtime": [*ALWAYS, *POSTGRES],
    "dev": [*ALWAYS, *POSTGRES, *DEV, *BUILD],
}


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    """The name of each file, in turn."""
    return str(request.param)


@pytest.fixture
def pins(name: str) -> dict[str, Pin]:
    """What the file pins."""
    return pins_of(FILES[name])


def test_every_requirement_of_ours_has_a_pin_that_satisfies_it(
    name: str, pins: dict[str, Pin]
) -> None:
    for requirement in ASKED[name]:
        pin = pins[canonicalize_name(requirement.name)]
        assert pin.version in requirement.specifier, requirement


def test_all_that_those_need_is_pinned_and_no_other(
    name: str, pins: dict[str, Pin]
) -> None:
    needed: set[str] = set()
    left = [each for each in ASKED[name] if applies(each)]
    seen = set()
    while left:
        requirement = left.pop()
        package = canonicalize_name(requirement.name)
        needed.add(package)
        assert pins[package].version in requirement.specifier, requirement
        for extra in ("", *requirement.extras):
            if (package, extra) not in seen:
                seen.add((package, extra))
                left += needs_of(package, extra)
    assert needed == {package for package, pin in pins.items() if pin.is_for_here}


def applies(requirement: Requirement, extra: str = "") -> bool:
    marker = requirement.marker
    return marker is None or marker.evaluate({"extra": extra})


def needs_of(package: str, extra: str) -> list[Requirement]:
    """Return what a package says that it needs here, for an extra or without one."""
    told = [Requirement(text) for text in metadata.requires(package) or ()]
    return [each for each in told if applies(each, extra)]


def test_every_pin_is_of_one_version_and_has_hashes(pins: dict[str, Pin]) -> None:
    for pin in pins.values():
        assert re.fullmatch(r"==[\w.+!]+", str(pin.requirement.specifier))
        assert pin.hashes
        assert all(re.fullmatch(r"[0-9a-f]{64}", each) for each in pin.hashes)


def test_no_address_and_no_path_of_a_machine_is_in_the_file(name: str) -> None:
    text = FILES[name].read_text()
    assert "://" not in text
    assert not re.search(r"^ *-(?!-hash=)", text, re.MULTILINE)
    assert not re.search(r"\s/", text)


def test_tests_run_with_what_is_shipped() -> None:
    pins = {name: pins_of(FILES[name]) for name in NAMES}
    for name in ("build", "runtime"):
        for package, pin in pins[name].items():
            assert pins["dev"][package].version == pin.version
            assert pins["dev"][package].hashes == pin.hashes


def by_make() -> str:
    """Return the commands that make installs with."""
    targets = ("unmade/installed", "unmade/installed-dev")
    command = ["make", "-C", REPOSITORY, "--dry-run", "VENV=unmade", *targets]
    return subprocess.check_output(command, text=True)


def by_docker() -> str:
    """Return the commands that an image is made with."""
    return (REPOSITORY / "Dockerfile").read_text().replace("\\\n", " ")


@pytest.mark.parametrize("source", [by_make, by_docker])
def test_nothing_is_installed_that_is_not_pinned(source: Callable[[], str]) -> None:
    commands = re.findall(r"\bpip (?:install|wheel) [^&\n]*", source())
    assert len(commands) >= 4
    for command in commands:
        # Of what is needed with an extra, pip takes the newest, pinned or not.
        assert "--no-deps" in command, command
        assert "--require-hashes" in command or "-r " not in command, command
        if "-r requirements/build.txt" not in command and "--no-index" not in command:
            # Else pip would choose what builds the others.
            assert "--no-build-isolation" in command, command
