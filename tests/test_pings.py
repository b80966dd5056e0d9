"""Pings: what is read from names and values, and how they are refused."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.errors import InvalidExpectation, InvalidRun
from pushrelay.grouping_key import GroupingKey
from pushrelay.pings import parse_ping
from pushrelay.runs import End, Outcome, Report, Run
from pushrelay.schedule import Expectation

SECOND = 10**9
HOUR = 3600 * SECOND
NOW = 1795378900 * SECOND + 1
KEY = GroupingKey.of({"job": "nightly"})
RID = "0190b5a4-7e12-7c4e-9a51-3f1f2a6d8c00"


def ping(written: dict[str, str], *, utf8_names: bool = False) -> Report:
    """Return what is read from a ping of the job nightly at NOW."""
    fields = [("job", "nightly"), *written.items()]
    return parse_ping(fields, NOW, utf8_names=utf8_names)


def id_of(written: dict[str, str]) -> uuid.UUID:
    """Return the id of the run that a start names."""
    return uuid.UUID(bytes=ping({"status": "start", **written}).run.id)


def test_a_start_begins_now() -> None:
    report = ping({"status": "start", "rid": RID})
    assert report == Report(Run(uuid.UUID(RID).bytes, KEY, NOW), is_ping=True)


@pytest.mark.parametrize(
    ("written", "end"),
    [
        ({"status": "success"}, End(NOW, Outcome.SUCCESS)),
        ({"status": "fail"}, End(NOW, Outcome.FAILURE)),
        ({"exit_code": "0"}, End(NOW, Outcome.SUCCESS, exit_code=0)),
        ({"exit_code": "3"}, End(NOW, Outcome.FAILURE, exit_code=3)),
        ({"exit_code": "-1"}, End(NOW, Outcome.FAILURE, exit_code=-1)),
        (
            {"status": "success", "exit_code": "0"},
            End(NOW, Outcome.SUCCESS, exit_code=0),
        ),
        (
            {"status": "fail", "exit_code": "137"},
            End(NOW, Outcome.FAILURE, exit_code=137),
        ),
    ],
)
def test_an_end_is_now_and_has_no_duration(written: dict[str, str], end: End) -> None:
    run = ping({**written, "rid": RID}).run
    assert run == Run(uuid.UUID(RID).bytes, KEY, NOW, end=end)


def test_without_rid_each_ping_is_of_a_run_that_nobody_named() -> None:
    report = ping({"status": "start"})
    assert report.is_anonymous
    assert uuid.UUID(bytes=report.run.id).version == 4
    assert report.run.id != ping({"status": "start"}).run.id
    assert not ping({"status": "start", "rid": "7"}).is_anonymous


def test_a_uuid_is_the_id_and_other_text_makes_one_with_the_key() -> None:
    assert id_of({"rid": RID.upper()}) == uuid.UUID(RID)
    # It must never change: the other end of the run may come after an upgrade.
    assert id_of({"rid": "7"}) == uuid.UUID("c42c4c2b-b271-555f-baae-bb1febe8498a")
    others = [{"rid": "8"}, {"rid": "7", "instance": "a"}, {"rid": "7", "label.a": "b"}]
    assert len({id_of(written) for written in [{"rid": "7"}, *others]}) == 4
    assert id_of({"rid": RID.replace("-", "")}) != uuid.UUID(RID)


def test_the_ends_of_a_run_have_one_id() -> None:
    finish = ping({"exit_code": "0", "rid": "7"})
    assert finish.run.id == id_of({"rid": "7"}).bytes


def test_labels_make_the_key() -> None:
    written = {"status": "start", "instance": "db1", "label.shard": "3", "label.x": ""}
    key = GroupingKey.of({"job": "nightly", "instance": "db1", "shard": "3"})
    assert ping(written).run.key == key
    same = {"status": "start", "label.instance": "db1", "label.shard": "3"}
    assert ping(same).run.key == key
    assert ping({"status": "start", "label.job": "nightly"}).run.key == KEY
    other = ping({"status": "start", "label.a-b": "c"}, utf8_names=True)
    assert other.run.key == GroupingKey.of({"job": "nightly", "a-b": "c"})


def test_what_is_expected_comes_along() -> None:
    report = ping(
        {
            "status": "start",
            "schedule": "0 3 * * *",
            "grace": "30m",
            "tz": "Mars",
            "max_runtime": "2h",
            "min_interval": "1h",
            "per_instance": "true",
        }
    )
    assert report.expectation == Expectation(
        schedule="0 3 * * *",
        grace=HOUR // 2,
        max_runtime=2 * HOUR,
        min_interval=HOUR,
        per_instance=True,
    )
    assert report.run.min_interval == HOUR
    assert len(report.warnings) == 1
    every = ping({"exit_code": "0", "every": "1h", "per_instance": "false"})
    assert every.expectation == Expectation(every=HOUR)
    assert ping({"status": "start"}).expectation is None


CODES = "must be a whole number from -2147483648 to 4294967295"
NAMES = (
    "job, status, exit_code, rid, instance, schedule, every, on_calendar, grace, tz, "
    "max_runtime, min_interval, per_instance, or label.NAME"
)
REFUSED = [
    ({}, "status: is missing; write start, success or fail, or exit_code"),
    ({"status": "failed"}, 'status: must be start, success or fail, not "failed"'),
    ({"status": "start", "exit_code": "0"}, "exit_code: 0 belongs to a finish; leave "
                                            "it out"),
    ({"status": "success", "exit_code": "3"}, 'exit_code: 3 contradicts the status '
                                              '"success"; write one of them'),
    ({"status": "fail", "exit_code": "0"}, 'exit_code: 0 contradicts the status '
                                           '"fail"; write one of them'),
    ({"exit_code": ""}, f'exit_code: {CODES}, not ""'),
    ({"exit_code": "0x1"}, f'exit_code: {CODES}, not "0x1"'),
    ({"exit_code": "\u0663"}, f'exit_code: {CODES}, not "\u0663"'),
    ({"exit_code": "4294967296"}, f'exit_code: {CODES}, not "4294967296"'),
    ({"status": "start", "rid": ""}, "rid: must be 1 to 255 printable characters, not "
                                     '""'),
    ({"status": "start", "rid": "\ud800"}, 'rid: must be UTF-8 text, not "\\ud800"'),
    ({"stauts": "start"}, 'run: there is no parameter "stauts"; did you mean status?'),
    ({"zzz": "1"}, f'run: there is no parameter "zzz"; write {NAMES}'),
    ({"status": "start", "label.mode": "a"}, "label.mode: is a label of the relay's "
                                             "own series of runs; use another name"),
    ({"status": "start", "label.job": "x"}, 'label.job: "x" is not the job, "nightly"; '
                                            "write one of them"),
    ({"status": "start", "label.": "x"}, 'label."": is no label name; write letters, '
                                         "digits and underscores, without __ at its "
                                         "beginning"),
    ({"status": "start", "instance": "a", "label.instance": "a"},
     'instance: "a" stands beside label.instance; write one'),
]  # fmt: skip


@pytest.mark.parametrize(("written", "message"), REFUSED)
def test_a_refusal_names_the_parameter_the_value_and_what_is_right(
    written: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidRun) as refused:
        ping(written)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([("status", "start")],
         'job: is missing; write text such as "nightly-report"'),
        ([("job", ""), ("status", "start")],
         'job: must be text such as "nightly-report", not ""'),
        ([("job", "a"), ("job", "a"), ("status", "start")],
         'job: is given more than once, at last as "a"; write it once'),
    ],
)  # fmt: skip
def test_the_job_is_written_once(fields: list[tuple[str, str]], message: str) -> None:
    with pytest.raises(InvalidRun) as refused:
        parse_ping(fields, NOW, utf8_names=False)
    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"every": "1.5"}, 'every: "1.5" is not a duration'),
        ({"per_instance": "true"}, "expectation: says nothing; write schedule, "),
        ({"every": "1h", "per_instance": "yes"},
         'per_instance: must be true or false, not "yes"'),
    ],
)  # fmt: skip
def test_a_refused_expectation_speaks_for_itself(
    written: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidRun) as refused:
        ping({"status": "start", **written})
    assert str(refused.value).startswith(message)


@pytest.mark.parametrize(
    ("fields", "job"),
    [
        ([("job", "a"), ("stauts", "x")], "a"),
        ([("job", "a"), ("status", "x"), ("status", "y")], "a"),
        ([("job", "a"), ("job", "b"), ("status", "start")], None),
        ([("job", "\udcff"), ("status", "start")], None),
        ([("job", "")], None),
        ([], None),
    ],
)
def test_a_refusal_knows_the_job(
    fields: list[tuple[str, str]], job: str | None
) -> None:
    with pytest.raises(InvalidRun) as refused:
        parse_ping(fields, NOW, utf8_names=False)
    assert refused.value.job == job


def test_a_refusal_does_not_repeat_a_long_value() -> None:
    long = "\0" * 100_000
    for name in ("status", "exit_code", "rid", "every", long, f"label.{long}"):
        with pytest.raises((InvalidRun, InvalidExpectation)) as refused:
            ping({"status": "start", "label.a": "b", name: long})
        assert len(str(refused.value)) < 1000


names = st.sampled_from(
    [
        "job",
        "status",
        "exit_code",
        "rid",
        "instance",
        "label.a",
        "every",
        "per_instance",
    ]
)
values = st.sampled_from(["start", "success", "fail", "0", "1h", "true", RID])
anything = st.text(st.characters())


@given(
    st.lists(st.tuples(names | anything | anything.map("label.".__add__),
                       values | anything)),
    st.booleans(), st.booleans(),
)  # fmt: skip
def test_whatever_comes_is_a_run_or_refused_with_a_name(
    fields: list[tuple[str, str]], is_complete: bool, utf8_names: bool
) -> None:
    if is_complete:
        fields = [("job", "x"), ("status", "start"), *fields]
    try:
        report = parse_ping(fields, NOW, utf8_names=utf8_names)
    except (InvalidRun, InvalidExpectation) as error:
        str(error).encode()
    else:
        assert report.run.reported_at == NOW


outcomes = st.sampled_from([None, 0, 1, 255, 2**32 - 1])


@given(
    st.sampled_from([Outcome.SUCCESS, Outcome.FAILURE]),
    outcomes,
    st.uuids(),
    st.dictionaries(
        st.from_regex("[a-d][a-z0-9_]*", fullmatch=True), st.text(min_size=1)
    ),
)
def test_an_end_is_read_as_it_was_written(
    outcome: Outcome, code: int | None, rid: uuid.UUID, labels: dict[str, str]
) -> None:
    if code is not None:
        outcome = Outcome.FAILURE if code else Outcome.SUCCESS
    written = {"rid": str(rid), **{f"label.{n}": v for n, v in labels.items()}}
    written["status"] = "success" if outcome is Outcome.SUCCESS else "fail"
    if code is not None:
        written["exit_code"] = str(code)
    key = GroupingKey.of({**labels, "job": "nightly"})
    end = End(NOW, outcome, exit_code=code)
    run = Run(rid.bytes, key, NOW, end=end)
    assert ping(written) == Report(run, is_ping=True)
