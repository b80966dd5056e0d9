"""What people do to the file of the database while the relay runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from mounting import mounted, needs_mounts
from relay_process import RelayProcess, StartRelay
from run_http import finish, jobs_of, new_id, report

pytestmark = pytest.mark.system


def test_a_file_that_was_gone_for_a_while_keeps_every_push(
    start_relay: StartRelay,
) -> None:
    relay = start_relay()
    for number in range(20):
        assert relay.put(f"/metrics/job/j{number}", "value 1\n").status == 200
    elsewhere = relay.database.with_name("elsewhere.db")
    relay.database.rename(elsewhere)

    assert "pushrelay_store_up 0\n" in relay.page()
    assert relay.put("/metrics/job/late", "value 1\n").status == 503
    assert not relay.database.exists()

    elsewhere.rename(relay.database)
    assert relay.put("/metrics/job/late", "value 1\n").status == 200
    relay.kill()
    relay.start()
    assert len(relay.groups()) == 21


@needs_mounts
def test_a_directory_that_is_not_mounted_for_a_while_is_left_alone(
    tmp_path: Path,
) -> None:
    (disk := tmp_path / "disk").mkdir()
    (directory := tmp_path / "data").mkdir()
    relay = RelayProcess(tmp_path)
    relay.database = directory / "relay.db"
    with mounted(disk, directory):
        relay.start()
        assert relay.put("/metrics/job/a", "value 1\n").status == 200
    try:
        refused = relay.put("/metrics/job/b", "value 1\n")
        assert refused.status == 503
        assert f"there is no file {relay.database}; put it back, or mount" in (
            refused.text
        )
        assert relay.get("/-/ready").status == 503
        assert 'job="a"' in relay.page()
        assert "pushrelay_store_up 0\n" in relay.page()
        assert [file.name for file in directory.iterdir()] in ([], ["relay.db.lock"])
        with mounted(disk, directory):
            assert relay.put("/metrics/job/b", "value 1\n").status == 200
            assert relay.get("/-/ready").status == 200
            assert "pushrelay_store_up 1\n" in relay.page()
            relay.kill()
            relay.start()
            assert len(relay.groups()) == 2
            relay.kill()
    finally:
        relay.kill()


def test_runs_and_jobs_wait_for_the_file(start_relay: StartRelay) -> None:
    relay, id_ = start_relay(), new_id()
    report(relay, finish(), id_)
    elsewhere = relay.database.with_name("elsewhere.db")
    relay.database.rename(elsewhere)
    end = json.dumps(finish("late"))
    requests = [
        ("PUT", f"/api/v1/runs/{new_id()}", end),
        ("POST", "/api/v1/ping?job=late&status=fail", ""),
        ("GET", f"/api/v1/runs/{id_}", None),
        ("GET", "/api/v1/runs", None),
        ("GET", "/api/v1/jobs", None),
        ("GET", "/api/v1/jobs/nightly", None),
        ("POST", "/api/v1/jobs/nightly/pause?until=1h", ""),
        ("PUT", "/api/v1/jobs/nightly/expectation", '{"every": "1h"}'),
    ]
    for method, path, body in requests:
        response = relay.request(method, path, body)
        assert response.status == 503, path
        assert response.header("Retry-After") is not None
    elsewhere.rename(relay.database)
    assert report(relay, json.loads(end))["replayed"] is False
    assert jobs_of(relay) == ["late", "nightly"]
