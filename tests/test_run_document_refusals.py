"""How run documents are refused: a table of fields and texts."""

from __future__ import annotations

import pytest
from run_reports import FINISH, FULL, ID, START, parsed

from pushrelay.errors import InvalidExpectation, InvalidRun
from pushrelay.runs import RESERVED_LABELS

WHOLE = "must be a whole number from"
CODES = f"{WHOLE} -2147483648 to 4294967295"
COUNTS = f"{WHOLE} 0 to 9223372036854775807"
TIME = "must be Unix seconds such as 1795378800.25"
FUTURE = ("is in the future, for it is 1795378900 here; write Unix seconds, and see "
          "whether the clock of the job's host is right")  # fmt: skip
FIELDS = ("job, labels, state, started_at, attempt, host, trace_id, expectation, id, "
          "finished_at, duration_seconds, exit_code, signal, outcome, usage, "
          "output_tail, metrics")  # fmt: skip
NO_LABEL = ("is no label name; write letters, digits and underscores, without __ at "
            "its beginning")  # fmt: skip
REFUSED = [
    (b"{", "run: is not JSON, line 1, column 2: Expecting property name enclosed in "
           "double quotes"),
    (b"\xff", "run: is not UTF-8 at byte 1"),
    ([], "run: must be a JSON object, not an array"),
    ({**START, "stat": 1}, 'run: there is no field "stat"; did you mean state?'),
    ({**START, "zzz": 1}, f'run: there is no field "zzz"; write {FIELDS}'),
    ({**START, "id": "x"}, f'id: "x" is not the run\'s, {ID}; leave it out'),
    ({**START, "id": 5}, "id: must be text, not 5"),
    ({**START, "job": None}, 'job: is missing; write text such as "nightly-report"'),
    ({**START, "job": ""}, 'job: must be text such as "nightly-report", not ""'),
    ({**START, "job": 7}, 'job: must be text such as "nightly-report", not 7'),
    ({**START, "job": "\ud800"}, 'job: must be text such as "nightly-report", not '
                                 '"\\ud800"'),
    ({**START, "labels": ["a"]}, "labels: must be an object, not an array"),
    ({**START, "labels": {"instance": 1}}, "labels.instance: must be text, not 1"),
    ({**START, "labels": {"a": "\udc80"}}, 'labels.a: must be text, not "\\x80"'),
    ({**START, "labels": {"a-b": "c"}}, f"labels.a-b: {NO_LABEL}"),
    ({**START, "labels": {"__a": "c"}}, f"labels.__a: {NO_LABEL}"),
    ({**START, "labels": {"": "c"}}, f'labels."": {NO_LABEL}'),
    ({**START, "labels": {"\n": "c"}}, f'labels."\\n": {NO_LABEL}'),
    ({**START, "labels": {"job": "other"}}, 'labels.job: "other" is not the job, '
                                            '"nightly"; write one of them'),
    ({**START, "labels": {"mode": "a"}}, "labels.mode: is a label of the relay's own "
                                         "series of runs; use another name"),
    ({**START, "state": None}, "state: is missing; write started or finished"),
    ({**START, "state": "start"}, 'state: must be started or finished, not "start"'),
    ({**START, "state": ["x"]}, "state: must be started or finished, not an array"),
    ({**START, "started_at": None}, "started_at: is missing; write Unix seconds such "
                                    "as 1795378800.25"),
    ({**START, "started_at": 0}, f"started_at: {TIME}, not 0"),
    ({**START, "started_at": -1}, f"started_at: {TIME}, not -1"),
    ({**START, "started_at": True}, f"started_at: {TIME}, not true"),
    ({**START, "started_at": "now"}, f'started_at: {TIME}, not "now"'),
    ({**START, "started_at": 1e300}, f"started_at: {TIME}, not 1E+300"),
    ({**START, "started_at": 1795378800250}, f"started_at: 1795378800250 {FUTURE}"),
    ({**FINISH, "finished_at": 1795978800}, f"finished_at: 1795978800 {FUTURE}"),
    ({**FINISH, "finished_at": None}, "finished_at: is missing; write Unix seconds "
                                      "such as 1795378800.25"),
    ({**FINISH, "finished_at": 1795378800}, "finished_at: 1795378800 is before "
                                            "started_at, 1795378800.25; write when the "
                                            "run ended"),
    ({**FINISH, "started_at": 1},
     "started_at: 1 is more than 10 years before finished_at, 1795378841.5; write the "
     "duration_seconds that were measured beside it"),
    ({**FINISH, "outcome": None}, "outcome: is missing; write success, failure, "
                                  "timeout, signal or skipped"),
    ({**FINISH, "outcome": "ok"}, "outcome: must be success, failure, timeout, signal "
                                  'or skipped, not "ok"'),
    ({**FINISH, "duration_seconds": -1}, "duration_seconds: must be seconds from 0 to "
                                         "315360000, not -1"),
    ({**FINISH, "duration_seconds": "1m"}, "duration_seconds: must be seconds from 0 "
                                           'to 315360000, not "1m"'),
    ({**FINISH, "exit_code": False}, f"exit_code: {CODES}, not false"),
    ({**FINISH, "exit_code": 0.5}, f"exit_code: {CODES}, not 0.5"),
    ({**FINISH, "exit_code": 2**32}, f"exit_code: {CODES}, not 4294967296"),
    ({**FINISH, "signal": 0}, f"signal: {WHOLE} 1 to 127, not 0"),
    ({**FINISH, "signal": "TERM"}, f'signal: {WHOLE} 1 to 127, not "TERM"'),
    ({**FINISH, "attempt": 0}, f"attempt: {WHOLE} 1 to 2147483647, not 0"),
    ({**FINISH, "host": ""}, 'host: must be 1 to 255 printable characters, not ""'),
    ({**FINISH, "host": "a\0"}, "host: must be 1 to 255 printable characters, not "
                                '"a\\x00"'),
    ({**FINISH, "trace_id": "a"}, 'trace_id: must be 32 hexadecimal digits, not "a"'),
    ({**FINISH, "usage": 1}, "usage: must be an object, not 1"),
    ({**FINISH, "usage": {"max_rss": 1}}, 'usage: there is no field "max_rss"; did you '
                                          "mean max_rss_bytes?"),
    ({**FINISH, "usage": {"max_rss_bytes": 2**63}},
     f"usage.max_rss_bytes: {COUNTS}, not 9223372036854775808"),
    ({**FINISH, "usage": {"block_reads": -1}}, f"usage.block_reads: {COUNTS}, not -1"),
    ({**FINISH, "usage": {"user_seconds": "1"}},
     'usage.user_seconds: must be seconds from 0 to 9223372036, not "1"'),
    ({**FINISH, "output_tail": "x"}, 'output_tail: must be an object, not "x"'),
    ({**FINISH, "output_tail": {"stdout": 1}}, "output_tail.stdout: must be text, not "
                                               "1"),
    ({**FINISH, "output_tail": {"out": "x"}},
     'output_tail: there is no field "out"; did you mean stdout?'),
    ({**FINISH, "metrics": {}}, "metrics: must be text, not an object"),
    ({**START, "expectation": "1h"}, 'expectation: must be an object, not "1h"'),
]  # fmt: skip


@pytest.mark.parametrize(("document", "message"), REFUSED)
def test_a_refusal_names_the_field_the_value_and_what_is_right(
    document: object, message: str
) -> None:
    with pytest.raises(InvalidRun) as refused:
        parsed(document)
    assert str(refused.value) == message
    assert message == f"{refused.value.field or 'run'}: {refused.value.problem}"
    assert refused.value.reason == "invalid_run"


@pytest.mark.parametrize("name", sorted(FULL.keys() - START.keys()))
def test_a_start_has_nothing_of_a_finish(name: str) -> None:
    if name in ("labels", "attempt", "host", "trace_id", "expectation"):
        parsed({**START, name: FULL[name]})
        return
    with pytest.raises(InvalidRun) as refused:
        parsed({**START, name: FULL[name] if FULL[name] is not None else 9})
    assert str(refused.value) == (
        f"{name}: belongs to a finish; leave it out, or write the state finished"
    )


@pytest.mark.parametrize("name", sorted(RESERVED_LABELS))
def test_labels_of_the_evidence_are_its_own(name: str) -> None:
    with pytest.raises(InvalidRun):
        parsed({**START, "labels": {name: "x"}})


def test_a_refused_expectation_speaks_for_itself() -> None:
    with pytest.raises(InvalidExpectation) as refused:
        parsed({**START, "expectation": {"every": 3600}})
    assert str(refused.value) == (
        'expectation.every: must be text such as "1h30m", not 3600'
    )


def test_a_refusal_does_not_repeat_a_long_value() -> None:
    for name in (*FULL.keys() - {"job", "metrics"}, "x" * 100_000):
        with pytest.raises((InvalidRun, InvalidExpectation)) as refused:
            parsed({**FINISH, name: "\0" * 100_000})
        assert len(str(refused.value)) < 1000
