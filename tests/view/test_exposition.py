from __future__ import annotations

import gzip
import subprocess
import zlib
from collections.abc import Iterable

import pytest
from builders import group_of, key_of
from compat.metric_messages import read_delimited
from google.protobuf import text_format
from prometheus_client.parser import text_string_to_metric_families

from pushrelay.changes import Changes, Position
from pushrelay.config import Limits
from pushrelay.exposition import metrics_pb2 as pb
from pushrelay.exposition.escaping import Escaping
from pushrelay.exposition.evidence import evidence_family
from pushrelay.exposition.negotiation import FormatKind, ScrapeFormat
from pushrelay.exposition.protobuf_encoder import (
    delimit,
    encode_header,
    encode_metrics,
)
from pushrelay.exposition.protobuf_parser import parse_protobuf
from pushrelay.exposition.protobuf_wire import split_delimited
from pushrelay.exposition.stored import from_stored, to_payload
from pushrelay.grouping_key import GroupingKey
from pushrelay.groups import Group
from pushrelay.model import PUSH_EVIDENCE, Metric, MetricFamily, MetricType
from pushrelay.view import exposition as exposition_module
from pushrelay.view import rendering
from pushrelay.view.exposition import Exposition
from pushrelay.view.view import View

BODY = """\
# HELP c Counted.
# TYPE c counter
c{z="2"} 2
c{z="1"} 1e+06
# TYPE g gauge
g NaN
g{a="-",b="x\\n\\"\\\\é🦆"} -0.5
g{a="+"} +Inf
# TYPE h histogram
h_bucket{le="0.1"} 1
h_bucket{le="+Inf"} 3
h_sum 4.5
h_count 3
# TYPE s summary
s{quantile="0.5"} 1
s_sum 2
s_count 2
untyped 5
{"metric.é","label.🦆"="v"} 1
"""
KEYS = [key_of("a"), key_of("b", instance="i"), key_of("c", **{"zone.é": "v"})]


def view_of(*groups: Group) -> View:
    view = View()
    view.apply(Changes(None, Position(1, b""), list(groups)))
    return view


def pages(
    *groups: Group,
    own: Iterable[MetricFamily] = (),
    kind: FormatKind = FormatKind.TEXT,
    escaping: Escaping = Escaping.UNDERSCORES,
) -> tuple[bytes, bytes]:
    """Return a page, plain and compressed."""
    page = Exposition(view_of(*groups).snapshot(), own, ScrapeFormat(kind, escaping))
    return b"".join(page.chunks()), b"".join(page.gzip_chunks())


def text_page(*groups: Group, own: Iterable[MetricFamily] = ()) -> str:
    return pages(*groups, own=own)[0].decode()


def some_groups() -> list[Group]:
    return [group_of(BODY.rstrip("\n"), key) for key in KEYS]


def many_groups() -> list[Group]:
    keys = [key_of(f"job-{number:04}") for number in range(600)]
    return [group_of("x 1\n# TYPE y counter\ny 2", key) for key in keys]


def group_of_messages(key: GroupingKey, *messages: str) -> Group:
    """Return the group of a push of families in protobuf's text format."""
    encoded = [
        text_format.Parse(text, pb.MetricFamily()).SerializeToString()
        for text in messages
    ]
    body = b"".join(delimit(len(message)) + message for message in encoded)
    families = parse_protobuf(body, key, Limits())
    return Group(key, 1, 1, 0, to_payload(families, 1))


def gauge(name: str, value: float, help_: str = "", **labels: str) -> MetricFamily:
    metric = Metric(tuple(sorted(labels.items())), value)
    return MetricFamily(name, MetricType.GAUGE, help_, [metric])


@pytest.mark.parametrize("kind", FormatKind)
@pytest.mark.parametrize("escaping", Escaping)
@pytest.mark.parametrize("large_block", [0, 8192])
def test_the_compressed_page_is_the_page(
    kind: FormatKind,
    escaping: Escaping,
    large_block: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rendering, "LARGE_BLOCK", large_block)
    own = [gauge("c", 1), gauge("own", 2)]
    plain, compressed = pages(*some_groups(), own=own, kind=kind, escaping=escaping)
    assert gzip.decompress(compressed) == plain
    member = zlib.decompressobj(31)
    assert member.decompress(compressed) == plain
    # Clients that read only the first member read all.
    assert member.eof
    assert member.unused_data == b""


def test_large_blocks_are_compressed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    deflated: list[int] = []
    deflate = rendering.deflate
    monkeypatch.setattr(rendering, "LARGE_BLOCK", 1)

    def count(pieces: Iterable[bytes]) -> rendering.Deflated:
        data = b"".join(pieces)
        deflated.append(len(data))
        return deflate([data])

    monkeypatch.setattr(rendering, "deflate", count)
    monkeypatch.setattr(exposition_module, "deflate", count)
    view = view_of(*many_groups())
    format_ = ScrapeFormat(FormatKind.TEXT, Escaping.UNDERSCORES)

    def scrape() -> bytes:
        page = Exposition(view.snapshot(), [], format_)
        compressed = b"".join(page.gzip_chunks())
        assert gzip.decompress(compressed) == b"".join(page.chunks())
        return compressed

    first = scrape()
    at_first = len(deflated)
    deflated.clear()
    assert scrape() == first
    unchanged = len(deflated)
    deflated.clear()
    changed = group_of("x 1\n# TYPE y counter\ny 3", key_of("job-0300"), revision=2)
    view.apply(Changes(view.position, Position(2, b""), [changed]))
    scrape()
    # Of four families, three have one block of 600 groups that changed.
    blocks_of_a_family = 3
    assert len(deflated) - unchanged == 3
    assert at_first - unchanged == 4 * blocks_of_a_family


def test_an_empty_page_is_gzip_too() -> None:
    plain, compressed = pages()
    assert plain == b""
    assert gzip.decompress(compressed) == b""


def test_the_program_gzip_reads_the_page() -> None:
    plain, compressed = pages(*many_groups())
    done = subprocess.run(
        ["gzip", "-dc"], input=compressed, capture_output=True, check=True
    )
    assert done.stdout == plain


def test_text_and_protobuf_pages_tell_the_same() -> None:
    text, _ = pages(*some_groups(), escaping=Escaping.ALLOW_UTF8)
    delimited, _ = pages(
        *some_groups(),
        kind=FormatKind.PROTOBUF_DELIMITED,
        escaping=Escaping.ALLOW_UTF8,
    )
    told = read_delimited(delimited)
    headers = [line for line in text.decode().splitlines() if line[:6] == "# TYPE"]
    names = [family.name for family in told]
    assert [header.split()[2].strip('"') for header in headers] == names
    assert names == sorted(names)
    # The metrics of each family come in the same order with the same values.
    key = key_of("page")
    for message in split_delimited(delimited):
        family = pb.MetricFamily.FromString(message)
        [parsed] = parse_protobuf(delimit(len(message)) + message, key, Limits())
        assert len(family.metric) == len(parsed.metrics)
    in_protobuf = [
        [(pair.name, pair.value) for pair in metric.label]
        for family in told
        if family.name == "c"
        for metric in family.metric
    ]
    in_text = [
        sorted(sample.labels.items())
        for family in text_string_to_metric_families(text.decode())
        if family.name == "c"
        for sample in family.samples
    ]
    assert in_protobuf == in_text
    assert [dict(labels)["z"] for labels in in_text] == ["1", "2"] * 3


def test_the_forms_of_protobuf_tell_the_same() -> None:
    def page(kind: FormatKind) -> bytes:
        return pages(*some_groups(), own=[gauge("own", 1)], kind=kind)[0]

    messages = [
        pb.MetricFamily.FromString(message)
        for message in split_delimited(page(FormatKind.PROTOBUF_DELIMITED))
    ]
    as_text = page(FormatKind.PROTOBUF_TEXT).decode().split("\n\n")[:-1]
    assert [text_format.Parse(text, pb.MetricFamily()) for text in as_text] == messages
    compact = page(FormatKind.PROTOBUF_COMPACT).decode().splitlines()
    assert [text_format.Parse(text, pb.MetricFamily()) for text in compact] == messages


def test_text_pages_are_read_by_prometheus_client() -> None:
    families = list(text_string_to_metric_families(text_page(*some_groups())))
    by_name = {family.name: family for family in families}
    assert by_name["c"].type == "counter"
    assert by_name["c"].documentation == "Counted."
    samples = {
        (sample.labels["job"], sample.labels["z"]): sample.value
        for sample in by_name["c"].samples
    }
    assert samples == {
        (job, z): value for job in "abc" for z, value in (("1", 1e6), ("2", 2.0))
    }


@pytest.mark.parametrize(
    ("escaping", "line"),
    [
        (
            Escaping.ALLOW_UTF8,
            '{"metric.é",instance="",job="c","label.🦆"="v","zone.é"="v"} 1',
        ),
        (
            Escaping.UNDERSCORES,
            'metric__{instance="",job="c",label__="v",zone__="v"} 1',
        ),
        (
            Escaping.DOTS,
            'metric_dot___{instance="",job="c",label_dot___="v",zone_dot___="v"} 1',
        ),
        (
            Escaping.VALUES,
            'U__metric_2e__e9_{instance="",job="c",U__label_2e__1f986_="v"'
            ',U__zone_2e__e9_="v"} 1',
        ),
    ],
)
def test_names_are_escaped_as_the_scraper_asks(escaping: Escaping, line: str) -> None:
    page, compressed = pages(*some_groups(), escaping=escaping)
    assert line in page.decode()
    assert gzip.decompress(compressed) == page


def test_escaped_and_quoted_pages_of_a_view_do_not_mix() -> None:
    view = view_of(*some_groups())

    def names(kind: FormatKind, escaping: Escaping) -> set[str]:
        page = Exposition(view.snapshot(), [], ScrapeFormat(kind, escaping))
        return {
            pair.name
            for family in read_delimited(b"".join(page.chunks()))
            for metric in family.metric
            for pair in metric.label
        }

    kind = FormatKind.PROTOBUF_DELIMITED
    assert "zone.é" in names(kind, Escaping.ALLOW_UTF8)
    assert "U__zone_2e__e9_" in names(kind, Escaping.VALUES)
    assert "zone.é" in names(kind, Escaping.ALLOW_UTF8)


def test_own_metrics_stand_before_pushed_ones_of_their_name() -> None:
    pushed = group_of("# HELP m Pushed.\n# TYPE m gauge\nm 2\n# TYPE n gauge\nn 3")
    page = text_page(pushed, own=[gauge("m", 1, "Own."), gauge("z_own", 4)])
    assert page.splitlines()[:7] == [
        "# HELP m Own.",
        "# TYPE m gauge",
        "m 1",
        'm{instance="",job="a"} 2',
        "# TYPE n gauge",
        'n{instance="",job="a"} 3',
        page.splitlines()[6],
    ]
    assert page.endswith("# TYPE z_own gauge\nz_own 4\n")


def test_own_metrics_stand_with_pushed_ones_in_protobuf() -> None:
    pushed = group_of("# HELP m Pushed.\n# TYPE m gauge\nm 2")
    page, _ = pages(
        pushed, own=[gauge("m", 1, "Own.")], kind=FormatKind.PROTOBUF_DELIMITED
    )
    family = next(each for each in read_delimited(page) if each.name == "m")
    assert family.help == "Own."
    assert [metric.gauge.value for metric in family.metric] == [1, 2]


def test_families_are_sorted_by_the_bytes_of_their_names() -> None:
    pushed = group_of('b 1\na 1\nB 1\n{"é"} 1\n{"\uffff"} 1\n{"🦆"} 1')
    text, _ = pages(pushed, own=[gauge("aa", 1)], escaping=Escaping.ALLOW_UTF8)
    names = [
        line.split(" ")[2].strip('"')
        for line in text.decode().split("\n")
        if line.startswith("# TYPE")
    ]
    assert names == sorted(names, key=str.encode)
    assert "aa" in names


def test_groups_follow_each_other_in_the_order_of_their_keys() -> None:
    # Of their canonical form, in which a value's end comes after all characters.
    groups = [group_of("x 1", key_of(job)) for job in ("b c", "a", "b", "B")]
    lines = [line for line in text_page(*groups).splitlines() if line[:2] == "x{"]
    assert [line.split('job="')[1].split('"')[0] for line in lines] == [
        "B",
        "a",
        "b c",
        "b",
    ]


def test_families_without_metrics_are_not_exposed() -> None:
    empty = group_of_messages(key_of("a"), 'name: "hollow" help: "h" type: COUNTER')
    assert "hollow" not in text_page(empty)
    for kind in FormatKind:
        assert b"hollow" not in pages(empty, kind=kind)[0]
    full = group_of("# TYPE hollow counter\nhollow 1", key_of("b"))
    assert 'hollow{instance="",job="b"} 1\n' in text_page(empty, full)


def test_what_only_protobuf_can_tell_is_told_in_protobuf() -> None:
    native = """
        name: "n" type: HISTOGRAM
        metric {
          label { name: "l" value: "2" }
          histogram {
            sample_count: 3 sample_sum: 5 schema: 1 zero_threshold: 0.1 zero_count: 1
            positive_span { offset: 0 length: 2 } positive_delta: 1 positive_delta: 0
            created_timestamp { seconds: 7 }
          }
        }
        metric {
          label { name: "l" value: "1" }
          histogram { sample_count: 1 sample_sum: 1 schema: 0 zero_threshold: 0 }
        }
    """
    group = group_of_messages(key_of("a"), native)
    page, _ = pages(group, kind=FormatKind.PROTOBUF_DELIMITED)
    [family] = [f for f in read_delimited(page) if f.name == "n"]
    labels = [{p.name: p.value for p in m.label} for m in family.metric]
    assert [each["l"] for each in labels] == ["1", "2"]
    histogram = family.metric[1].histogram
    assert list(histogram.positive_delta) == [1, 0]
    assert histogram.created_timestamp.seconds == 7
    assert 'n_count{instance="",job="a",l="2"} 3\n' in text_page(group)


def test_protobuf_pages_are_encoded_alike_whatever_groups_stand_side_by_side() -> None:
    message = """
        name: "h" type: HISTOGRAM
        metric {
          histogram {
            sample_count: 3 sample_sum: 5
            bucket { cumulative_count: 2 upper_bound: 1 exemplar { value: 0.5 } }
          }
        }
    """
    groups = [
        *some_groups(),
        group_of_messages(key_of("b2"), message),
        group_of("# TYPE c counter\nc -0", key_of("b3")),
        group_of(BODY.rstrip("\n"), key_of("d")),
        group_of('# TYPE c counter\nc{"é"="1"} 1', key_of("e")),
    ]
    for escaping in Escaping:
        page, _ = pages(*groups, kind=FormatKind.PROTOBUF_DELIMITED, escaping=escaping)
        told = b"".join(split_delimited(page))
        for name in ("c", "g", "h", "s", "untyped", "metric.é", *PUSH_EVIDENCE):
            held = [
                group.payload.get(name) or evidence_family(group, name)
                for group in sorted(groups, key=lambda group: group.key.canonical)
                if name in group.payload.layout.index or name in PUSH_EVIDENCE
            ]
            read = [from_stored(family, pushed_order=False) for family in held]
            metrics = [encode_metrics(family, escaping) for family in read]
            header = encode_header(name, read[0].type, read[0].help, escaping)
            assert header + b"".join(metrics) in told
