from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from databases import database_in, database_url
from sqlalchemy import make_url

from pushrelay.cli import serve as serve_module
from pushrelay.cli.main import cli
from pushrelay.config import Limits, Settings
from pushrelay.store.migrate import current_schema, upgrade

HOUR = 3600 * 10**9


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What would have been served, instead of serving it."""
    settings: list[Settings] = []
    monkeypatch.setattr(serve_module, "_run", lambda given, _: settings.append(given))
    return settings


def run(tmp_path: Path, *flags: str) -> str:
    url = f"--database.url=sqlite:///{tmp_path}/relay.db"
    return CliRunner().invoke(cli, ["serve", url, *flags]).output


@pytest.mark.parametrize("written", ["own", "/own", "/own/", "//own"])
def test_the_telemetry_path_may_be_written_with_any_slashes(
    tmp_path: Path, served: list[Settings], written: str
) -> None:
    run(tmp_path, f"--web.telemetry-path={written}")
    assert served[0].telemetry_path == "/own"


@pytest.mark.parametrize("written", ["/-/metrics", "-/metrics/"])
def test_the_telemetry_path_is_not_that_of_own_metrics(
    tmp_path: Path, served: list[Settings], written: str
) -> None:
    output = run(tmp_path, f"--web.telemetry-path={written}")
    assert "--web.telemetry-path: /-/metrics is the page of the relay's own" in output
    assert served == []


@pytest.mark.parametrize(
    ("flags", "prefix", "external_path"),
    [
        ([], "", ""),
        (["--web.route-prefix=/"], "", ""),
        (["--web.route-prefix=a/b/"], "/a/b", ""),
        (["--web.external-url=http://x.example/p/"], "/p", "/p"),
        (["--web.external-url=http://x.example/p", "--web.route-prefix=/"], "", "/p"),
    ],
)
def test_the_prefix_is_the_path_of_the_external_url_or_its_own(
    tmp_path: Path,
    served: list[Settings],
    flags: list[str],
    prefix: str,
    external_path: str,
) -> None:
    run(tmp_path, *flags)
    assert served[0].route_prefix == prefix
    assert served[0].external_path == external_path


def test_limits_are_flags(tmp_path: Path, served: list[Settings]) -> None:
    run(tmp_path, "--limit.series=7", "--limit.idle-seconds=0.5")
    assert served[0].limits == Limits(series=7, idle_seconds=0.5)


@pytest.mark.parametrize(
    ("flag", "problem"),
    [
        ("--limit.stored-groups=0", "0 is not in the range x>=1"),
        ("--limit.run-output-bytes=10001", "10001 is not in the range 0<=x<=10000"),
    ],
)
def test_a_limit_that_cannot_be_is_a_clear_error(
    tmp_path: Path, served: list[Settings], flag: str, problem: str
) -> None:
    output = run(tmp_path, flag)
    assert f"Invalid value for '{flag.partition('=')[0]}'" in output
    assert problem in output
    assert served == []


def test_how_long_runs_are_kept_is_a_flag(
    tmp_path: Path, served: list[Settings]
) -> None:
    run(tmp_path)
    run(tmp_path, "--runs.keep=5", "--runs.max-age=2h")
    assert served[0].runs_keep == Settings().runs_keep
    assert served[0].runs_max_age == Settings().runs_max_age == 90 * 24 * HOUR
    assert (served[1].runs_keep, served[1].runs_max_age) == (5, 2 * HOUR)


def test_a_url_with_too_few_slashes_is_a_clear_error(served: list[Settings]) -> None:
    arguments = ["serve", "--database.url=sqlite://data/x.db"]
    result = CliRunner().invoke(cli, arguments)
    assert result.exit_code == 1
    assert "has too few slashes" in result.output
    assert served == []


@pytest.mark.parametrize(
    ("flag", "problem"),
    [
        ("--freshness.stale-after=1hour", "is not a duration"),
        ("--freshness.stale-after=0", "must be longer than 0; for never, leave it out"),
        (
            "--freshness.forget-after=0s",
            "must be longer than 0; for never, leave it ou",
        ),
        ("--runs.max-age=0s", "must be longer than 0\n"),
        ("--runs.max-age=", "is not a duration"),
    ],
)
def test_a_duration_that_would_hide_all_or_is_none_is_a_clear_error(
    tmp_path: Path, served: list[Settings], flag: str, problem: str
) -> None:
    output = run(tmp_path, flag)
    assert output.startswith(f"Error: {flag.partition('=')[0]}: ")
    assert problem in output
    assert served == []


@pytest.mark.postgres
def test_a_database_on_a_server_is_not_upgraded_by_the_way(
    tmp_path: Path, served: list[Settings]
) -> None:
    url = database_url(tmp_path, has_tables=False)
    database = database_in(tmp_path)

    def run() -> str:
        return CliRunner().invoke(cli, ["serve", f"--database.url={url}"]).output

    assert "run `pushrelay db upgrade --database.url=...`" in run()
    assert current_schema(database) is None
    assert served == []
    upgrade(database)
    assert str(make_url(url).password) not in run()
    assert served[0].database_url == url
    assert served[0].flags["database.url"] == str(make_url(url))
    database.close()
