"""What is shown of what is expected: a page a job, or one for each of its instances."""

from __future__ import annotations

from pushrelay.expectations import JobExpectation
from pushrelay.exposition.run_families import expectation_payload
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import RunPage
from pushrelay.run_evidence import RunEvidence
from pushrelay.run_states import last_starts, outlook_of
from pushrelay.schedule import Expectation
from pushrelay.view.dues import Dues
from pushrelay.view.evidences import Evidences
from pushrelay.view.run_pages import RunPages

Instance = tuple[str, str]
"""A job and a value of the label `instance`, empty for the job as a whole."""


class ExpectedPages:
    """Keeps in `pages` what is shown of what is expected.

    dues: when which page has to be made anew though nothing is reported.
    """

    def __init__(self, pages: RunPages, evidences: Evidences) -> None:
        self.dues: Dues[Instance] = Dues()
        self._pages = pages
        self._evidences = evidences
        # The instances of each job that have pages.
        self._shown: dict[str, set[str]] = {}

    def show_job(self, job: str, expected: JobExpectation, now: int) -> None:
        """Make all pages of `job` anew."""
        starts: dict[str, int] = {}
        expectation = expected.effective
        if expectation is not None:
            if expectation.per_instance:
                starts = last_starts(self._living(job, now), expected)
            else:
                starts = {"": self._start_of(job, expected)}
        for instance in self._shown.get(job, set()) - starts.keys():
            self._remove(job, instance)
        for instance, start in starts.items():
            self._show((job, instance), expected, start, now)

    def show_instance(self, at: Instance, expected: JobExpectation, now: int) -> None:
        """Make the page anew that depends on the runs of one instance of a job."""
        job, instance = at
        expectation = expected.effective
        if expectation is None:
            return
        if not expectation.per_instance:
            self._show((job, ""), expected, self._start_of(job, expected), now)
            return
        held = self._evidences.of_instance(job, instance)
        living = [each for each in held if self._evidences.lives(each, now)]
        shown = self._shown.get(job, set())
        if len(shown) < 2 or (not living and instance in expected.instances):
            # The page of the job as a whole may come or go.
            self.show_job(job, expected, now)
        elif living:
            start = max([each.last_start for each in living])
            self._show(at, expected, start, now)
        else:
            self._remove(job, instance)

    def _living(self, job: str, now: int) -> list[RunEvidence]:
        held = self._evidences.of_job(job)
        return [each for each in held if self._evidences.lives(each, now)]

    def _start_of(self, job: str, expected: JobExpectation) -> int:
        return max(expected.last_start, self._evidences.last_start(job))

    def _show(
        self, at: Instance, expected: JobExpectation, last_start: int, now: int
    ) -> None:
        job, instance = at
        expectation: Expectation | None = expected.effective
        if expectation is None:
            return
        ahead = outlook_of(expected, last_start, now)
        if ahead.due is not None:
            self.dues.enter(at, ahead.due)
        key = _key_of(job, instance)
        payload = expectation_payload(key, expected, expectation, ahead, now)
        self._pages.put(_name_of(key), RunPage(key, payload))
        self._shown.setdefault(job, set()).add(instance)

    def _remove(self, job: str, instance: str) -> None:
        self.dues.drop((job, instance))
        self._pages.remove(_name_of(_key_of(job, instance)))
        self._shown[job].discard(instance)
        if not self._shown[job]:
            del self._shown[job]


def _key_of(job: str, instance: str) -> GroupingKey:
    labels = {"job": job, "instance": instance} if instance else {"job": job}
    return GroupingKey.of(labels)


def _name_of(key: GroupingKey) -> str:
    return f"expected {key.id.hex()}"
