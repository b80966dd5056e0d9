"""What a build adds to what setup.cfg says: the commit, shared files, and a
description whose links lead somewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

ROOT = Path(__file__).parent
COMMIT = "pushrelay/commit.txt"
SHARED = ("alertmanager", "cron", "grafana", "prometheus", "systemd")
"""The parts of contrib/ that do without a checkout."""


def commit_of(root: Path) -> str:
    """Return the commit of what is at `root`: what a build before this one wrote, or
    what git says. "" where neither is there."""
    if (told := root / COMMIT).exists():
        return told.read_text().strip()
    if not (root / ".git").exists():
        # git would look for one above.
        return ""
    describe = ("git", "describe", "--always", "--exclude=*", "--abbrev=40", "--dirty")
    try:
        done = subprocess.run(  # noqa: S603  # nothing in it comes from outside
            describe, cwd=root, capture_output=True, text=True
        )
    except OSError:
        return ""
    return done.stdout.strip()


class BuildWithCommit(build_py):
    """Writes the commit into the package that is built."""

    def run(self) -> None:
        super().run()
        # An editable install is the checkout, and goes with it.
        if not self.editable_mode:
            write_commit(Path(self.build_lib))


class SourcesWithCommit(sdist):
    """Writes the commit into the sources, which leave git behind."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        write_commit(Path(base_dir))


def write_commit(tree: Path) -> None:
    # It may be that of an earlier build, or a hard link to a file of the sources.
    (tree / COMMIT).unlink(missing_ok=True)
    if commit := commit_of(ROOT):
        (tree / COMMIT).write_text(f"{commit}\n")


def shared_files() -> list[tuple[str, list[str]]]:
    """Return the files for `share/` of where this is installed, by directory."""
    files = [("share/man/man1", path) for path in Path("docs").glob("*.1")]
    for part in SHARED:
        for path in (Path("contrib") / part).rglob("*"):
            if path.is_file():
                inside = path.parent.relative_to("contrib")
                files.append((f"share/pushrelay/{inside}", path))
    return [(place, [str(path)]) for place, path in sorted(files)]


def description() -> str:
    """Return the README without what it cannot have outside of the repository: its
    pictures, and links to its files, of which the text stays."""
    text = re.sub(r"!\[[^]]*\]\([^)]*\)\n*", "", (ROOT / "README.md").read_text())
    return re.sub(r"\[([^]]*)\]\((?!https?:)[^)]*\)", r"\1", text)


if __name__ == "__main__":
    setup(
        cmdclass={"build_py": BuildWithCommit, "sdist": SourcesWithCommit},
        data_files=shared_files(),
        long_description=description(),
    )
