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


def test_the_readme_names_its_two_commands() -> None:
    readme = read("README.md")
    assert "make run" in readme
    assert "make test" in readme


def test_ci_calls_the_test_command_of_the_readme() -> None:
    assert re.search(r"^make test\b", read(".ci/run"), re.MULTILINE)
    assert os.access(REPOSITORY / ".ci/run", os.X_OK)


def links_of(page: Path) -> list[tuple[str, str]]:
    """Return the targets and anchors of the links of `page` into the repository."""
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", page.read_text())
    return [(target, anchor) for target, anchor in links if "://" not in target]


def relative_links(page: Path) -> list[str]:
    """Return the files that the links of `page` lead to."""
    return [target for target, _ in links_of(page) if target]


def anchors_of(page: Path) -> set[str]:
    """Return what links to a part of `page` have behind the `#`."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


PAGES = sorted(
    [
        *REPOSITORY.glob("*.md"),
        *(REPOSITORY / "docs").glob("*.md"),
        *(REPOSITORY / "contrib").rglob("*.md"),
    ]
)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem + page.parent.name)
def test_every_link_of_the_page_leads_somewhere(page: Path) -> None:
    missing = [
        target for target in relative_links(page) if not (page.parent / target).exists()
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem + page.parent.name)
def test_every_anchor_of_the_page_is_a_heading(page: Path) -> None:
    for target, anchor in links_of(page):
        there = page.parent / target if target else page
        if anchor and there.suffix == ".md":
            assert anchor in anchors_of(there), f"{target}#{anchor}"


def test_the_readme_links_every_page_of_the_docs() -> None:
    links = relative_links(REPOSITORY / "README.md")
    for page in (REPOSITORY / "docs").glob("*.md"):
        assert f"docs/{page.name}" in links


def test_the_image_gets_every_file_that_the_wheel_is_built_from() -> None:
    copied = re.findall(r"^COPY (?!--)(.+) \S+$", read("Dockerfile"), re.MULTILINE)
    needed = {name for line in copied for name in line.split()}
    admitted = re.findall(r"^!(.+)$", read(".dockerignore"), re.MULTILINE)
    assert needed == set(admitted)
    assert all((REPOSITORY / name).exists() for name in needed)


def test_the_image_gets_its_commit_where_a_build_looks_for_it() -> None:
    written = re.findall(r'^RUN echo "\$\{COMMIT\}" >(\S+)', read("Dockerfile"), re.M)
    assert written == [COMMIT]
