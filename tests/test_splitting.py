from __future__ import annotations

import pytest
from builders import key_of
from compat.metric_messages import HISTOGRAM, delimited, family

from pushrelay.config import Limits
from pushrelay.errors import InvalidRequest, LimitExceeded
from pushrelay.exposition.protobuf_parser import metrics_of, parse_protobuf
from pushrelay.exposition.text_parser import parse_text
from pushrelay.grouping_key import GroupingKey
from pushrelay.splitting import Groups, parse_by, split

BY = ("job", "instance")


def groups_of(body: str, by: tuple[str, ...] = BY, most: int = 100) -> Groups:
    return split(parse_text(body.encode(), None, Limits()), by, most)


def lines(groups: Groups) -> dict[GroupingKey, list[tuple[str, object]]]:
    return {
        key: [(f.name, m.value) for f in families for m in f.metrics]
        for key, families in groups.items()
    }


def test_a_body_is_split_by_labels() -> None:
    body = (
        '# TYPE x gauge\nx{job="a",instance="1",l="v"} 1\nx{job="b"} 2\n'
        'x{job="a",instance="1",l="w"} 3\ny{job="a",instance="2"} 4\n'
    )
    groups = groups_of(body)
    assert lines(groups) == {
        key_of("a", instance="1"): [("x", 1.0), ("x", 3.0)],
        key_of("b"): [("x", 2.0)],
        key_of("a", instance="2"): [("y", 4.0)],
    }
    assert groups[key_of("a", instance="1")][0].metrics[0].labels == (
        ("instance", "1"),
        ("job", "a"),
        ("l", "v"),
    )


def test_an_empty_label_is_like_none() -> None:
    body = 'x{job="a",instance=""} 1\ny{job="a"} 2\n'
    assert list(groups_of(body)) == [key_of("a")]


def test_histograms_stay_whole() -> None:
    body = "# TYPE h histogram\n" + "".join(
        f'h_bucket{{job="{job}",le="+Inf"}} {n}\nh_count{{job="{job}"}} {n}\n'
        for n, job in enumerate("ab")
    )
    groups = groups_of(body)
    assert [
        families[0].metrics[0].value.sample_count for families in groups.values()
    ] == [
        0,
        1,
    ]


def test_native_histograms_go_with_their_group() -> None:
    spans = {"positive_span": [{"offset": 0, "length": 1}], "schema": 0}
    metrics = [
        {
            "label": [{"name": "job", "value": job}],
            "histogram": {"sample_count": n, **spans, "positive_delta": [n]},
        }
        for n, job in enumerate("ab", 1)
    ]
    body = delimited(family("n", HISTOGRAM, *metrics))
    groups = split(parse_protobuf(body, None, Limits()), BY, 10)
    for n, job in enumerate("ab", 1):
        [found] = groups[key_of(job)]
        assert found.message is not None
        [metric] = metrics_of(found.message)
        assert metric.value.sample_count == n
        assert dict(metric.labels)["job"] == job


def test_a_series_without_a_job_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r'series x\{instance="1"\} has no job'):
        groups_of('y{job="a"} 1\nx{instance="1"} 1\n')


def test_labels_that_are_not_utf8_are_refused() -> None:
    metric = {"label": [{"name": "job", "value": "a"}], "gauge": {"value": 1}}
    body = delimited(family("x", 1, metric)).replace(b"\x12\x01a", b"\x12\x01\xff")
    with pytest.raises(InvalidRequest, match=r'job" of x is not valid UTF-8: "\\xff"'):
        split(parse_protobuf(body, None, Limits()), BY, 10)


def test_too_many_groups_are_refused() -> None:
    body = "".join(f'x{{job="{n}"}} 1\n' for n in range(4))
    assert len(groups_of(body, most=4)) == 4
    with pytest.raises(LimitExceeded, match="more than the limit of 3 groups"):
        groups_of(body, most=3)


@pytest.mark.parametrize(
    ("written", "utf8_names", "expected"),
    [
        ("job", False, ("job",)),
        ("job,instance", False, BY),
        ("instance,job", False, ("instance", "job")),
        ("job,my.label", True, ("job", "my.label")),
    ],
)
def test_by_lists_names(
    written: str, utf8_names: bool, expected: tuple[str, ...]
) -> None:
    assert parse_by(written, Limits(), utf8_names=utf8_names) == expected


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        (None, r"\?by=job,instance"),
        ("", r"\?by=job,instance"),
        ("instance", r"\?by=job,instance"),
        ("job,", 'improper label name ""'),
        ("job,my.label", 'improper label name "my.label"'),
        ("job,__name__", 'improper label name "__name__"'),
        ("job, instance", 'improper label name " instance"'),
        ("job,job", "job is there more than once"),
    ],
)
def test_by_is_refused_with_what_is_wrong(written: str | None, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=problem):
        parse_by(written, Limits())


def test_by_lists_no_more_labels_than_a_key_may_have() -> None:
    names = ["job", *(f"l{n}" for n in range(Limits().labels - 1))]
    assert len(parse_by(",".join(names), Limits())) == Limits().labels
    with pytest.raises(LimitExceeded, match="by: there are more than the limit of 256"):
        parse_by(",".join([*names, "l"]), Limits())
