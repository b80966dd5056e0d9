"""What is built holds the whole tree, and works where nothing else is installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from doc_examples import example_in
from installed_wheel import (
    clean_environment,
    imports,
    make_venv,
    run,
    run_a_job,
    serve,
)

import pushrelay
from pushrelay.store.migrate import HEAD

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not shutil.which("git"), reason="git is not installed"),
]

REPOSITORY = Path(__file__).parents[2]
SHARED = ("alertmanager", "cron", "grafana", "prometheus", "systemd")
GIT = ("git", "-c", "user.name=x", "-c", "user.email=x@example.org")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with one commit, of the sources; a build leaves files behind."""
    source = tmp_path_factory.mktemp("source")
    for name in ("bin", "contrib", "docs", "migrations", "pushrelay"):
        shutil.copytree(
            REPOSITORY / name,
            source / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__", ".env"),
        )
    for path in REPOSITORY.glob("*.*"):
        if path.suffix in {".cfg", ".in", ".md", ".py", ".toml"}:
            shutil.copy(path, source)
    shutil.copy(REPOSITORY / "LICENSE", source)
    run("git", "init", "--quiet", cwd=source)
    run("git", "add", "--all", cwd=source)
    run(*GIT, "commit", "--quiet", "--message=All of it", cwd=source)
    # What git leaves alone stays at home, too.
    (source / "contrib/compose/.env").write_text("POSTGRES_PASSWORD=secret\n")
    (source / "tests").mkdir()
    (source / "tests/test_it.py").touch()
    return source


@pytest.fixture(scope="module")
def commit(source: Path) -> str:
    """The commit that is built."""
    return run("git", "rev-parse", "HEAD", cwd=source).strip()


@pytest.fixture(scope="module")
def built(source: Path) -> Path:
    """The directory with the source distribution, and the wheel that is built from it
    where there is no git."""
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist")
    run(*build, cwd=source)
    return source / "dist"


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    """The wheel."""
    (wheel,) = built.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a venv that holds the wheel and what it asks for, only."""
    venv = tmp_path_factory.mktemp("venv")
    pip = make_venv(venv)
    pinned = (*pip, "install", "--require-hashes", "--no-deps", "--no-build-isolation")
    for name in ("build", "runtime"):
        run(*pinned, "-r", REPOSITORY / f"requirements/{name}.txt", cwd=venv)
    # What is pinned must be all that it asks for, and it must do without its extras.
    run(*pip, "uninstall", "--yes", "psycopg", "psycopg-binary", cwd=venv)
    run(*pip, "install", "--no-index", wheel, cwd=venv)
    return venv / "bin"


def test_the_wheel_holds_every_file_of_the_tree_and_no_other(wheel: Path) -> None:
    assert sorted(files_in_wheel(wheel)) == sorted(files_in_tree())


def test_the_source_distribution_has_the_documents_and_the_examples(
    built: Path,
) -> None:
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        files = [each.name for each in opened.getmembers() if each.isfile()]
    names = {name.partition("/")[2] for name in files}
    assert {"CHANGELOG.md", "README.md", "SECURITY.md", "setup.py"} < names
    told = {name for name in names if name.startswith(("contrib/", "docs/", "tests/"))}
    assert told == {str(path) for path in (*files_below("docs"), *shared())}


def test_an_index_takes_both_and_can_show_the_description(built: Path) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", *built.iterdir(), cwd=built)


def test_the_description_has_no_links_into_the_repository(commands: Path) -> None:
    (told,) = commands.parent.glob("lib/*/site-packages/pushrelay-*/METADATA")
    text = told.read_text()
    assert "\n# pushrelay\n" in text
    targets = re.findall(r"\]\(([^)]*)\)|^\[.*\]: (\S+)|(?:src|href)=(\S+)", text, re.M)
    assert targets
    for target in targets:
        assert "".join(target).strip("\"'").startswith("https://")


def test_the_wheel_says_its_version_and_its_commit(
    commands: Path, commit: str, tmp_path: Path
) -> None:
    printed = run(commands / "pushrelay", "--version", cwd=tmp_path)
    expected = f"pushrelay, version {pushrelay.__version__} (commit {commit})\n"
    assert printed == expected


def test_the_manual_page_and_the_examples_are_installed(commands: Path) -> None:
    share = commands.parent / "share"
    page = REPOSITORY / "docs/pushrelay.1"
    assert (share / "man/man1/pushrelay.1").read_bytes() == page.read_bytes()
    for path in shared():
        there = share / "pushrelay" / path.relative_to("contrib")
        assert there.read_bytes() == (REPOSITORY / path).read_bytes()


def test_a_program_that_uses_the_library_is_checked_by_its_types(
    commands: Path, tmp_path: Path
) -> None:
    right = example_in("docs/library.md", "python")
    (tmp_path / "right.py").write_text(right)
    (tmp_path / "wrong.py").write_text(right.replace("len(rows)", "rows"))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--cache-dir=cache"),
            *("--python-executable", commands / "python", "right.py", "wrong.py"),
        ],
        cwd=tmp_path,
        env=clean_environment(),
        capture_output=True,
        text=True,
    )
    assert re.findall(r"^(\S+): error: .*\[(.*)\]$", done.stdout, re.MULTILINE) == [
        ("wrong.py:5", "arg-type")
    ], done.stdout + done.stderr


def test_the_command_imports_nothing_before_the_package(
    commands: Path, tmp_path: Path
) -> None:
    python = [commands / "python", "-X", "importtime"]
    own = imports(*python, "-c", "pass", cwd=tmp_path)
    job = (commands / "pushrelay", "exec", "--dry-run", "--", "true")
    found = imports(*python, *job, cwd=tmp_path)
    assert next(name for name in found if name not in own) == "pushrelay"


def test_the_command_is_there_for_a_job_in_every_way_to_call_it(
    commands: Path, tmp_path: Path
) -> None:
    link = tmp_path / "linked"
    link.symlink_to(commands / "pushrelay")
    calls = [[commands / "pushrelay"], [link], [commands / "python", "-m", "pushrelay"]]
    for call in calls:
        assert run_a_job(*call, cwd=tmp_path) == "ran\n"


def test_a_job_needs_nothing_but_the_wheel_and_other_commands_say_what_they_need(
    wheel: Path, tmp_path: Path
) -> None:
    pip = make_venv(tmp_path / "venv")
    run(*pip, "install", "--no-deps", wheel, cwd=tmp_path)
    command = tmp_path / "venv/bin/pushrelay"
    assert run_a_job(command, cwd=tmp_path) == "ran\n"
    for arguments in (["jobs"], ["spool", "flush"], ["exec", "--help"]):
        done = subprocess.run(
            [command, *arguments],
            cwd=tmp_path,
            env=clean_environment(),
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("pushrelay: click is not installed")
        assert done.stderr.count("\n") == 1


def test_an_editable_install_has_the_command_too_and_is_what_is_checked_out(
    source: Path, commit: str, tmp_path: Path
) -> None:
    pip = make_venv(tmp_path / "venv")
    builds = REPOSITORY / "requirements/build.txt"
    run(*pip, "install", "--require-hashes", "--no-deps", "-r", builds, cwd=tmp_path)
    alone = ("--no-deps", "--no-build-isolation")
    run(*pip, "install", *alone, "--editable", source, cwd=tmp_path)
    assert run_a_job(tmp_path / "venv/bin/pushrelay", cwd=tmp_path) == "ran\n"
    program = "import pushrelay.commit; print(pushrelay.commit.commit())"
    assert run(tmp_path / "venv/bin/python", "-c", program, cwd=tmp_path).strip() == (
        commit
    )


def test_serve_from_an_empty_directory_takes_a_push_and_shows_it(
    commands: Path, tmp_path: Path
) -> None:
    with serve(commands, tmp_path) as address:
        push = urllib.request.Request(
            f"http://{address}/metrics/job/wheel", data=b"answer 42\n", method="PUT"
        )
        with urllib.request.urlopen(push) as response:
            assert response.status == 200
        with urllib.request.urlopen(f"http://{address}/metrics") as response:
            page = response.read().decode()
        assert 'answer{instance="",job="wheel"} 42\n' in page
        with urllib.request.urlopen(f"http://{address}/") as response:
            assert "wheel" in response.read().decode()
        url = f"http://{address}/api/v1/openapi.json"
        with urllib.request.urlopen(url) as response:
            assert json.load(response)["openapi"].startswith("3.1")
    assert (tmp_path / "data/pushrelay.db").exists()


def test_the_migrations_are_on_board(commands: Path, tmp_path: Path) -> None:
    run(commands / "pushrelay", "db", "upgrade", cwd=tmp_path)
    assert HEAD in run(commands / "pushrelay", "db", "current", cwd=tmp_path)


def files_in_tree() -> Iterator[str]:
    """Yield the files of the package; `migrations` belongs to it."""
    for folder, inside in (("pushrelay", ""), ("migrations", "pushrelay")):
        for path in files_below(folder):
            yield str(Path(inside) / path)
    yield "pushrelay/commit.txt"
    data = Path(f"pushrelay-{pushrelay.__version__}.data")
    yield str(data / "scripts/pushrelay")
    yield str(data / "data/share/man/man1/pushrelay.1")
    for path in shared():
        yield str(data / "data/share/pushrelay" / path.relative_to("contrib"))


def shared() -> Iterator[Path]:
    """Yield the files of contrib/ that do without a checkout."""
    for part in SHARED:
        yield from files_below(f"contrib/{part}")


def files_below(folder: str) -> Iterator[Path]:
    """Yield the files of a folder of the repository, by their paths in it."""
    for path in (REPOSITORY / folder).rglob("*"):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path.relative_to(REPOSITORY)


def files_in_wheel(wheel: Path) -> list[str]:
    """Return the files of the wheel that are not its metadata."""
    names = zipfile.ZipFile(wheel).namelist()
    return [name for name in names if ".dist-info/" not in name]
