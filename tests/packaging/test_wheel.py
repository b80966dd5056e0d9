"""What is built holds the whole tree, and works where nothing else is installed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from relay_process import free_port

import pushrelay
from pushrelay.store.migrate import HEAD

pytestmark = pytest.mark.system

REPOSITORY = Path(__file__).parents[2]
START_DEADLINE = 20.0


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources; a build leaves files behind."""
    source = tmp_path_factory.mktemp("source")
    for name in ("bin", "pushrelay", "migrations"):
        shutil.copytree(
            REPOSITORY / name,
            source / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__"),
        )
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, source)
    (source / "docs").mkdir()
    shutil.copy(REPOSITORY / "docs/openapi.yaml", source / "docs")
    return source


@pytest.fixture(scope="module")
def wheel(source: Path) -> Path:
    """The wheel, built from the source distribution."""
    build = (sys.executable, "-m", "build", "--no-isolation", "--outdir", "dist")
    run(*build, cwd=source)
    (built,) = (source / "dist").glob("*.whl")
    return built


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` of a venv that holds the wheel and what it asks for, only."""
    venv = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", str(venv), cwd=venv)
    pip = (venv / "bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check")
    pinned = (*pip, "install", "--require-hashes", "--no-deps", "--no-build-isolation")
    for name in ("build", "runtime"):
        run(*pinned, "-r", REPOSITORY / f"requirements/{name}.txt", cwd=venv)
    # What is pinned must be all that it asks for, and it must do without its extras.
    run(*pip, "uninstall", "--yes", "psycopg", "psycopg-binary", cwd=venv)
    run(*pip, "install", "--no-index", wheel, cwd=venv)
    return venv / "bin"


def test_the_wheel_holds_every_file_of_the_tree_and_no_other(wheel: Path) -> None:
    assert sorted(files_in_wheel(wheel)) == sorted(files_in_tree())


def test_the_wheel_says_its_version(commands: Path, tmp_path: Path) -> None:
    printed = run(commands / "pushrelay", "--version", cwd=tmp_path)
    assert pushrelay.__version__ in printed


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
    run(sys.executable, "-m", "venv", "--without-pip", "venv", cwd=tmp_path)
    pip = (sys.executable, "-m", "pip", "--python", "venv/bin/python", "--quiet")
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


def test_an_editable_install_has_the_command_too(source: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", "venv", cwd=tmp_path)
    pip = (sys.executable, "-m", "pip", "--python", "venv/bin/python", "--quiet")
    builds = REPOSITORY / "requirements/build.txt"
    run(*pip, "install", "--require-hashes", "--no-deps", "-r", builds, cwd=tmp_path)
    alone = ("--no-deps", "--no-build-isolation")
    run(*pip, "install", *alone, "--editable", source, cwd=tmp_path)
    assert run_a_job(tmp_path / "venv/bin/pushrelay", cwd=tmp_path) == "ran\n"


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
        for path in (REPOSITORY / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield str(Path(inside) / path.relative_to(REPOSITORY))
    yield f"pushrelay-{pushrelay.__version__}.data/scripts/pushrelay"


def files_in_wheel(wheel: Path) -> list[str]:
    """Return the files of the wheel that are not its metadata."""
    names = zipfile.ZipFile(wheel).namelist()
    return [name for name in names if ".dist-info/" not in name]


@contextmanager
def serve(commands: Path, directory: Path) -> Iterator[str]:
    """Run the relay in `directory` and yield its address."""
    address = f"127.0.0.1:{free_port()}"
    with (directory / "relay.log").open("wb") as log:
        process = subprocess.Popen(
            [commands / "pushrelay", "serve", f"--web.listen-address={address}"],
            cwd=directory,
            env=clean_environment(),
            stdout=log,
            stderr=log,
        )
    try:
        wait_until_ready(address, process)
        yield address
        process.send_signal(signal.SIGTERM)
        assert process.wait(START_DEADLINE) == 0
    finally:
        process.kill()
        process.wait()


def wait_until_ready(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while True:
        try:
            with urllib.request.urlopen(f"http://{address}/-/ready"):
                return
        except OSError:
            assert process.poll() is None, "the relay ended"
            assert time.monotonic() < deadline, "the relay is not ready"
            time.sleep(0.05)


def imports(*command: str | Path, cwd: Path) -> list[str]:
    """Return the modules that `command` imports, as -X importtime tells them."""
    told = subprocess.run(
        command, cwd=cwd, env=clean_environment(), capture_output=True, text=True
    )
    assert told.returncode == 0, told.stderr
    lines = told.stderr.splitlines()
    return [line.rpartition("|")[2].strip() for line in lines if "import time:" in line]


def run_a_job(*call: str | Path, cwd: Path) -> str:
    """Run a job by `call`, with no relay; return what it printed."""
    unheard = ("exec", "--url", "http://127.0.0.1:1", "--quiet", "--")
    state = {"PUSHRELAY_STATE_DIR": str(cwd / "state")}
    return run(*call, *unheard, "echo", "ran", cwd=cwd, **state)


def run(*command: str | Path, cwd: Path, **environ: str) -> str:
    """Run a command outside of the checkout and return what it printed."""
    environment = clean_environment() | environ
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def clean_environment() -> dict[str, str]:
    """Return the environment less what Python, coverage and pushrelay read."""
    foreign = ("PYTHON", "COVERAGE", "COV_", "PUSHRELAY", "VIRTUAL_ENV")
    return {k: v for k, v in os.environ.items() if not k.startswith(foreign)}
