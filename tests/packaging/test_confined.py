"""What the image and the unit for systemd take away is not missed by the relay."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from mounting import needs_mounts
from relay_process import RelayProcess
from worker_process import master_of, worker_of

pytestmark = [pytest.mark.system, needs_mounts]

# All is read-only but a place for the database, $0, and shared memory; and of /proc
# there are processes alone. What is hidden by another mount cannot be mounted again.
CONFINE = """
set -e
mount -t tmpfs -o mode=0700 none "$0"
mount -t tmpfs none /dev/shm
while read -r _ _ _ _ place _; do
    case $place in
    "$0" | /dev/shm | /proc/*) ;;
    *) mount -o remount,bind,ro "$place" 2>/dev/null || : ;;
    esac
done </proc/self/mountinfo
mount -t proc -o subset=pid proc /proc
for place in /tmp /var/tmp /usr "$PWD"; do
    if test -w "$place"; then echo "$place can be written to"; exit 1; fi
done
cd "$0"
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs "$@"
"""

# MemoryDenyWriteExecute= of systemd, by the kernel's own means.
DENY_WRITE_EXECUTE = """
import ctypes, os, sys
denied = ctypes.CDLL(None).prctl(65, 1, 0, 0, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""

# Coverage would write its data where nothing can be written.
UNMEASURED = ("-u", "COVERAGE_PROCESS_START", "-u", "COVERAGE_PROCESS_CONFIG")


class ConfinedRelay(RelayProcess):
    """A relay that may do nothing but what the unit and the image let it do."""

    def command(self) -> list[str]:
        place = self.directory / "data"
        place.mkdir()
        self.database = place / "relay.db"
        started = super().command()
        return [
            *("env", *UNMEASURED, "unshare", "--mount", "--propagation=private"),
            *("sh", "-c", CONFINE, str(place)),
            *(sys.executable, "-c", DENY_WRITE_EXECUTE, *started[1:]),
        ]


def test_the_relay_works_where_only_its_database_may_be_written(
    tmp_path: Path,
) -> None:
    rules = tmp_path / "rules.toml"
    rules.write_text('[[jobs]]\nmatch = \'job=~"x.*"\'\nstale_after = "1h"\n')
    with ConfinedRelay(tmp_path, f"--config.file={rules}") as relay:
        lines = "".join(f'a{{n="{n}"}} {n}\n' for n in range(20_000))
        assert relay.put("/metrics/job/x", lines).status == 200
        assert relay.page().count("\na{") == 20_000
        packed = relay.get("/metrics", {"Accept-Encoding": "gzip"})
        assert packed.header("Content-Encoding") == "gzip"
        assert relay.get("/").status == 200
        assert "\nprocess_start_time_seconds 1" in relay.get("/-/metrics").text
        for process in (master_of(relay), worker_of(relay)):
            status = Path(f"/proc/{process}/status").read_text()
            assert "\nCapEff:\t0000000000000000\n" in status
            assert "\nCapBnd:\t0000000000000000\n" in status
            assert "\nNoNewPrivs:\t1\n" in status
        assert relay.stop() == 0
    warned = [line for line in relay.log.splitlines() if "level=info" not in line]
    assert len(warned) == 1
    assert f"created a new, empty database: {relay.database}" in warned[0]
