"""What waits in the spool is delivered: to fakes that fail, and to a real relay."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import pytest
from canned_server import Asked, Canned, CannedServer, problem
from relay_process import REPOSITORY, RelayProcess, StartRelay
from run_http import finish, run_of, runs_of, start
from spooled import NOW, OTHER_URL, URL, finish_of, finished, reports_of, started
from waiting import DEADLINE

from pushrelay.errors import RelayRefused, RelayUnavailable
from pushrelay.wrapper.delivery import Delivery
from pushrelay.wrapper.flush import Flushed, flush
from pushrelay.wrapper.reports import Report
from pushrelay.wrapper.spool import Spool

UNAVAILABLE = RelayUnavailable("no answer")
FAILS = RelayUnavailable("answered 500", 500)
NO_TOKEN = RelayRefused("no token", 401, {"detail": ""})
NOT_THIS = RelayRefused("outside its matchers", 403, {"detail": ""})
NEVER = RelayRefused("too old, says http://a", 410, {"detail": "too old"})
NO_REASON = RelayRefused("http://a answered 418", 418, {"detail": ""})

FLUSHER = """
import sys
from math import inf
from pushrelay.wrapper.delivery import Delivery
from pushrelay.wrapper.flush import flush
from pushrelay.wrapper.spool import Spool

spool, delivery = Spool([sys.argv[1]]), Delivery(sys.argv[2])
while spool.waiting():
    print(flush(spool, delivery, delivery.url, until=inf).delivered)
"""


@dataclass
class Deliverer:
    """Takes reports, but for those of these jobs."""

    failures: dict[str, Exception] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    taken: list[Report] = field(default_factory=list)

    def deliver(self, report: Report, *, spooled: bool = False) -> list[str]:
        assert spooled
        self.before()
        if report.document["job"] in self.failures:
            raise self.failures[report.document["job"]]
        self.taken.append(report)
        return ["noted"]


def kept(spool: Spool, *jobs: str) -> list[Report]:
    """Keep the finish of a run of each of these jobs, a second apart."""
    reports = [finished(NOW + number, job=job) for number, job in enumerate(jobs)]
    for report in reversed(reports):
        spool.keep(report, URL, NOW)
    return reports


def test_what_happened_first_is_delivered_first(spool: Spool) -> None:
    reports = kept(spool, "a", "b", "c")
    deliverer = Deliverer()
    assert flush(spool, deliverer, URL, until=inf) == Flushed(delivered=3)
    assert deliverer.taken == reports
    assert reports_of(spool) == []


def test_without_a_spool_nothing_is_done(spool: Spool, tmp_path: Path) -> None:
    assert flush(spool, Deliverer(), URL, until=inf) == Flushed()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [UNAVAILABLE, NO_TOKEN])
def test_the_first_failure_that_may_pass_ends_it(
    error: RelayUnavailable | RelayRefused, spool: Spool
) -> None:
    reports = kept(spool, "a", "bad", "c")
    flushed = flush(spool, Deliverer({"bad": error}), URL, until=inf)
    assert flushed == Flushed(delivered=1, left=2, error=error)
    assert reports_of(spool) == reports[1:]
    assert spool.refused() == []


@pytest.mark.parametrize("error", [FAILS, NOT_THIS])
def test_a_report_that_the_relay_fails_at_or_another_token_is_for_holds_up_no_other(
    error: RelayUnavailable | RelayRefused, spool: Spool
) -> None:
    reports = kept(spool, "bad", "b", "c", "bad", "e")
    deliverer = Deliverer({"bad": error})
    flushed = flush(spool, deliverer, URL, until=inf)
    assert flushed == Flushed(delivered=3, left=2, error=error)
    assert reports_of(spool) == [reports[0], reports[3]]
    assert spool.refused() == []


def test_a_relay_that_fails_at_a_few_reports_in_a_row_is_left_alone(
    spool: Spool,
) -> None:
    reports = kept(spool, *["bad"] * 20)
    asked = []
    deliverer = Deliverer({"bad": FAILS}, before=lambda: asked.append(1))
    flushed = flush(spool, deliverer, URL, until=inf)
    assert flushed == Flushed(left=20, error=FAILS)
    assert len(asked) == 3
    assert reports_of(spool) == reports


def test_many_reports_that_the_relay_fails_at_hold_up_no_other_for_ever(
    spool: Spool,
) -> None:
    kept(spool, *["bad"] * 6, "good")
    deliverer = Deliverer({"bad": FAILS})
    for _ in range(500):  # by chance, of one in three
        if flush(spool, deliverer, URL, until=inf).delivered:
            break
    assert [report.document["job"] for report in deliverer.taken] == ["good"]


def test_what_nobody_thought_of_sets_aside_one_report(spool: Spool) -> None:
    reports = kept(spool, "a", "bad", "c")
    deliverer = Deliverer({"bad": KeyError("job")})
    flushed = flush(spool, deliverer, URL, until=inf)
    assert flushed == Flushed(delivered=2, set_aside=1)
    [entry] = spool.refused()
    assert (entry.report, entry.reason) == (
        reports[1],
        "internal error: KeyError: 'job'",
    )


@pytest.mark.parametrize(
    "error", [MemoryError(), ModuleNotFoundError("no module"), OSError(24, "files")]
)
def test_what_is_wrong_with_this_host_ends_it(error: Exception, spool: Spool) -> None:
    reports = kept(spool, "a", "bad", "c")
    flushed = flush(spool, Deliverer({"bad": error}), URL, until=inf)
    assert (flushed.delivered, flushed.left) == (1, 2)
    assert f"internal error: {type(error).__name__}" in str(flushed.error)
    assert reports_of(spool) == reports[1:]


@pytest.mark.parametrize(
    ("error", "reason"),
    [(NEVER, "too old (status 410)"), (NO_REASON, "http://a answered 418")],
)
def test_what_is_refused_for_good_is_set_aside(
    error: Exception, reason: str, spool: Spool
) -> None:
    reports = kept(spool, "a", "bad", "c")
    told = []
    flushed = flush(
        spool,
        Deliverer({"bad": error}),
        URL,
        until=inf,
        tell=lambda entry, said: told.append((entry.report, entry.reason, said)),
    )
    assert flushed == Flushed(delivered=2, set_aside=1)
    assert reports_of(spool) == []
    assert [(e.report, e.reason) for e in spool.refused()] == [(reports[1], reason)]
    assert told == [
        (reports[0], "", ["noted"]),
        (reports[1], reason, []),
        (reports[2], "", ["noted"]),
    ]
    # Nobody tries it again.
    assert flush(spool, Deliverer(), URL, until=inf) == Flushed()


def test_no_report_is_begun_after_the_deadline(spool: Spool) -> None:
    kept(spool, "a", "b", "c", "d")
    now = [10.0]

    def a_second_later() -> None:
        now[0] += 1

    deliverer = Deliverer(before=a_second_later)
    flushed = flush(spool, deliverer, URL, until=11.5, clock=lambda: now[0])
    assert flushed == Flushed(delivered=2, left=2)


def test_it_ends_when_it_is_told_to(spool: Spool) -> None:
    kept(spool, "a", "b", "c")
    deliverer = Deliverer()
    flushed = flush(
        spool, deliverer, URL, until=inf, stop=lambda: len(deliverer.taken) == 1
    )
    assert flushed == Flushed(delivered=1, left=2)


def test_reports_for_other_relays_wait_on(spool: Spool) -> None:
    kept(spool, "a")
    other = finished()
    spool.keep(other, OTHER_URL, NOW)
    assert flush(spool, Deliverer(), URL, until=inf) == Flushed(delivered=1)
    assert reports_of(spool) == [other]


def test_a_file_that_another_relay_is_written_into_is_not_ours(spool: Spool) -> None:
    [report] = kept(spool, "a")
    [path] = map(Path, spool.paths(URL))
    path.write_text(path.read_text().replace(URL, OTHER_URL))
    assert flush(spool, Deliverer(), URL, until=inf) == Flushed()
    assert reports_of(spool) == [report]


def test_nothing_is_delivered_while_another_process_does(spool: Spool) -> None:
    reports = kept(spool, "a", "b")
    with spool.locked():
        flushed = flush(spool, Deliverer(), URL, until=inf)
    assert flushed == Flushed(left=2, is_busy=True)
    assert reports_of(spool) == reports


def test_a_finish_that_comes_while_its_start_is_delivered_stays(spool: Spool) -> None:
    begun = started(job="a")
    spool.keep(begun, URL, NOW)
    ended = finish_of(begun, job="a")
    deliverer = Deliverer(before=lambda: spool.keep(ended, URL, NOW))
    assert flush(spool, deliverer, URL, until=inf).delivered == 1
    assert reports_of(spool) == [ended]


def test_broken_files_do_not_stop_it(spool: Spool) -> None:
    kept(spool, "a", "b", "c")
    Path(spool.paths()[1]).write_text("{")
    assert flush(spool, Deliverer(), URL, until=inf) == Flushed(delivered=2)
    assert len(spool.refused()) == 1


def test_the_header_says_that_reports_waited(spool: Spool) -> None:
    def gone(_asked: Asked) -> Canned:
        return problem(410, detail="too late", reason="run_too_old")

    with CannedServer(gone) as server:
        spool.keep(finished(), server.url, NOW)
        delivery = Delivery(server.url)
        flushed = flush(spool, delivery, delivery.url, until=inf)
        delivery.close()
        assert flushed == Flushed(set_aside=1)
        [asked] = server.asked
    assert asked.headers["x-pushrelay-spooled"] == "true"
    [refused] = spool.refused()
    assert refused.reason == "too late (status 410)"


# exec.md: 15
def test_runs_arrive_at_a_relay_with_their_true_times(
    spool: Spool, start_relay: StartRelay
) -> None:
    relay = start_relay()
    delivery = Delivery(f"http://{relay.address}")
    old = finished(job="a")
    document = finish("nightly", ago=40_000)
    late = Report(old.run_id, document)
    spool.keep(late, delivery.url, NOW)
    assert flush(spool, delivery, delivery.url, until=inf) == Flushed(delivered=1)
    run = run_of(relay, late.run_id)
    for name in ("started_at", "finished_at"):
        assert run[name] == pytest.approx(document[name], abs=1e-5)
    spool.keep(late, delivery.url, NOW)
    assert flush(spool, delivery, delivery.url, until=inf) == Flushed(delivered=1)
    delivery.close()
    assert len(runs_of(relay)["runs"]) == 1
    assert "pushrelay_spooled_runs_delivered_total 1\n" in relay.page()


@pytest.mark.system
def test_two_processes_that_deliver_at_once_deliver_all_of_it_once(
    spool: Spool, tmp_path: Path
) -> None:
    with RelayProcess(tmp_path) as relay:
        url = f"http://{relay.address}"
        for number in range(40):
            report = finished(job="a") if number % 2 else started(job="a")
            make = finish if report.is_finish else start
            document = make("a", ago=1000 - number)
            spool.keep(Report(report.run_id, document), url, NOW)
        processes = [
            subprocess.Popen(
                [sys.executable, "-c", FLUSHER, str(tmp_path / "state"), url],
                env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
                stdout=subprocess.PIPE,
            )
            for _ in range(2)
        ]
        outputs = [process.communicate(timeout=DEADLINE)[0] for process in processes]
        assert [process.returncode for process in processes] == [0, 0]
        assert sum(int(line) for output in outputs for line in output.split()) == 40
        assert spool.waiting() == []
        assert "pushrelay_spooled_runs_delivered_total 40\n" in relay.page()
        assert 'outcome="success"} 20\n' in relay.page()
