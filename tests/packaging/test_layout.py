"""The files around the code agree with each other."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from setup import COMMIT

REPOSITORY = Path(__file__).parents[2]
TARGETS = ("help", "run", "test", "test-fast", "check", "fix", "bench")


def read(name: str) -> str:
    """Return the text of a file of the repository."""
    return (REPOSITORY / name).read_text()


@pytest.fixture(scope="module")
def make_help() -> str:
    """What `make` alone prints; it must not install anything."""
    return subprocess.check_output(["make", "-C", REPOSITORY], text=True)


@pytest.mark.parametrize("target", TARGETS)
def test_make_lists_the_target(make_help: str, target: str) -> None:
    assert re.search(rf"^  make {target} +\w", make_help, re.MULTILINE)


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_every_make_command_of_the_page_is_a_target(make_help: str, page: str) -> None:
    commands = set(re.findall(r"\bmake ([a-z][a-z-]*)", read(page)))
    assert commands
    for command in commands:
        assert f"make {command} " in make_help


def test_the_page_of_benchmarks_has_each_of_them(make_help: str) -> None:
    targets = set(re.findall(r"^  make (bench[a-z-]*)", make_help, re.MULTILINE))
    assert "bench-shards" in targets
    assert targets == set(
        re.findall(r"^\| `make (\S+)` ", read("benchmarks/README.md"), re.M)
    )


def test_the_readme_names_its_two_commands() -> None:
    readme = read("README.md")
    assert "make run" in readme
    assert "make test" in readme


def test_ci_calls_the_test_command_of_the_readme() -> None:
    assert re.search(r"^make test\b", read(".ci/run"), re.MULTILINE)
    assert os.access(REPOSITORY / ".ci/run", os.X_OK)


def test_the_image_gets_every_file_that_the_wheel_is_built_from() -> None:
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", read("Dockerfile"), re.MULTILINE)
    needed = {name for line in copied for name in line.split()}
    admitted = re.findall(r"^!(.+)$", read(".dockerignore"), re.MULTILINE)
    assert needed == set(admitted)
    assert all((REPOSITORY / name).exists() for name in needed)


def test_the_image_gets_its_commit_where_a_build_looks_for_it() -> None:
    written = re.findall(r'^RUN echo "\$\{COMMIT\}" >(\S+)', read("Dockerfile"), re.M)
    assert written == [COMMIT]
