"""`DELETE /api/v1/jobs/<job>`: the end of a job."""

from __future__ import annotations

import time
from pathlib import Path

from relay_process import HTTPClient, StartRelay
from run_http import data_of, finish, jobs_of, report, runs_of


def test_a_job_that_a_rule_names_is_retired_until_the_rules_are_read_again(
    start_relay: StartRelay, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text("[[jobs]]\nmatch = 'job=\"a\"'\nevery = '1h'\n")
    relay = start_relay(f"--config.file={rules}")
    data = data_of(relay.delete("/api/v1/jobs/a"))
    assert (data["known"], data["named_by_rule"]) == (True, True)


def test_a_job_whose_pushes_are_remembered_is_known(
    start_relay: StartRelay, tmp_path: Path
) -> None:
    rules = tmp_path / "rules.toml"
    rule = "match = 'job=\"a\"'\nstale_after = '1ms'\non_stale = 'forget'\n"
    rules.write_text(f"[[jobs]]\n{rule}")
    relay = start_relay(f"--config.file={rules}")
    relay.put("/metrics/job/a", "x 1\n")
    time.sleep(0.1)
    data = data_of(relay.delete("/api/v1/jobs/a"))
    assert (data["count"], data["known"]) == (0, True)
    assert data_of(relay.delete("/api/v1/jobs/a"))["known"] is False


def test_a_job_of_which_there_are_only_runs_is_retired(relay: HTTPClient) -> None:
    report(relay, finish("a"))
    report(relay, finish("a", labels={"instance": "i"}))
    relay.put("/api/v1/jobs/b/expectation", '{"every": "1h"}')
    report(relay, finish("c"))
    meant = {"count": 0, "groups": []}
    told = {"job": "a", "known": True, "instances": 2, "expected": False, **meant}
    told["named_by_rule"] = False
    for dry_run in (True, False):
        data = data_of(relay.delete(f"/api/v1/jobs/a?dry_run={int(dry_run)}"))
        assert data == {"dry_run": dry_run, **told}
        assert jobs_of(relay) == (["a", "b", "c"] if dry_run else ["b", "c"])
    data = data_of(relay.delete("/api/v1/jobs/b"))
    assert (data["instances"], data["expected"]) == (0, True)
    assert data_of(relay.delete("/api/v1/jobs/b"))["known"] is False
    assert jobs_of(relay) == ["c"]
    assert [run["job"] for run in runs_of(relay)["runs"]] == ["c"]
    # What was refused of a job is still counted.
    lines = [line for line in relay.page().splitlines() if "_rejected_" not in line]
    assert not [job for job in "ab" if f'job="{job}"' in "\n".join(lines)]
