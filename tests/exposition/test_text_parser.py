from __future__ import annotations

from math import inf, isnan

import pytest

from pushrelay.config import Limits
from pushrelay.errors import LimitExceeded, ParseError
from pushrelay.exposition.text_parser import parse_text
from pushrelay.grouping_key import GroupingKey
from pushrelay.model import Histogram, Metric, MetricFamily, MetricType, Summary

KEY = GroupingKey.of({"job": "etl"})
PLACED = {"instance": "", "job": "etl"}

SUMMARY = b"# TYPE x summary\n"
HISTOGRAM = b"# TYPE x histogram\n"


def parse(body: bytes, *, utf8_names: bool = False) -> list[MetricFamily]:
    return parse_text(body, KEY, Limits(), utf8_names=utf8_names)


def only_metric(body: bytes) -> Metric:
    (family,) = parse(body)
    (metric,) = family.metrics
    return metric


def own_labels(metric: Metric) -> dict[str, str]:
    return {name: value for name, value in metric.labels if PLACED.get(name) != value}


@pytest.mark.parametrize(
    ("line", "labels", "value"),
    [
        (b"a 1", {}, 1.0),
        (b" \t a \t 1", {}, 1.0),
        (b"a{} 1", {}, 1.0),
        (b"a{ } 1", {}, 1.0),
        (b'a{b="c"}1', {"b": "c"}, 1.0),
        (b'a {b="c"} 1', {"b": "c"}, 1.0),
        (b'a{b="c",} 1', {"b": "c"}, 1.0),
        (b'a { b = "c" , d\t=\t"e" , } \t 1', {"b": "c", "d": "e"}, 1.0),
        (b'a{b="} 1,=#{"} 2', {"b": "} 1,=#{"}, 2.0),
        (rb'a{b="\\ \" \n \\n"} 1', {"b": '\\ " \n \\n'}, 1.0),
        (b'a{b="x\r\ty\x00"} 1', {"b": "x\r\ty\x00"}, 1.0),
        ('a{b="\u00e9\U0001f600"} 1'.encode(), {"b": "\u00e9\U0001f600"}, 1.0),
        (b'a{b=""} 1', {"b": ""}, 1.0),
        (b'a{quantile="x",le="y"} 1', {"quantile": "x", "le": "y"}, 1.0),
        (b'a{__x="1"} 1', {"__x": "1"}, 1.0),
        (b"a +Inf", {}, inf),
        (b"a -inf", {}, -inf),
        (b"a .5", {}, 0.5),
        (b"a 1e-400", {}, 0.0),
        (b"a+1", {}, 1.0),
        (b'"a" 1', {}, 1.0),
        (b'"a"{b="c"} 1', {"b": "c"}, 1.0),
        (b'{"a"} 1', {}, 1.0),
        (b'{"a",} 1', {}, 1.0),
        (b"{a} 1", {}, 1.0),
        (b' { "a" , b = "c" } 1', {"b": "c"}, 1.0),
        (b'{b="c","a"} 1', {"b": "c"}, 1.0),
        (b'a{"b"="c"} 1', {"b": "c"}, 1.0),
        (b'a{b="c",b="d"} 1'.replace(b'b="d"', b'c="d"'), {"b": "c", "c": "d"}, 1.0),
    ],
)
def test_lines_are_accepted(line: bytes, labels: dict[str, str], value: float) -> None:
    (family,) = parse(line + b"\n")
    assert (family.name, family.type, family.timestamped) == (
        "a",
        MetricType.UNTYPED,
        False,
    )
    (metric,) = family.metrics
    assert own_labels(metric) == labels
    assert metric.value == value


REFUSED_LINES = [
    (b"1a 2", "invalid metric name"),
    (b"\xff 1", "invalid metric name"),
    (b"\xef\xbb\xbfa 1", "invalid metric name"),
    (b'"" 1', "invalid metric name"),
    (b'"a b" 1', 'invalid metric name "a b"'),
    (b'{"a.b"} 1', 'invalid metric name "a.b"'),
    (b'"a\\\\\\"\\n" 1', r'invalid metric name "a\\\"\n"'),
    (b'"a', 'metric name "a" contains unescaped new-line'),
    (b'"a\\z" 1', r"invalid escape sequence '\z'"),
    (b'{b="c"} 1', "invalid metric name"),
    (b"{} 1", "invalid metric name"),
    (b'{"a","b"} 1', 'multiple metric names for metric "a"'),
    (b'{"a" "b"} 1', "unexpected end of metric name '\"'"),
    (b"a{,} 1", 'invalid label name for metric "a"'),
    (b"a{1} 1", 'invalid label name for metric "a"'),
    (b"a{", 'invalid label name for metric "a"'),
    (b'a{b="c",,} 1', 'invalid label name for metric "a"'),
    (b'a{""="c"} 1', 'invalid label name for metric "a"'),
    (b"a{b-c=", "expected '=' after label name, found '-'"),
    (b"a{b", r"expected '=' after label name, found '\n'"),
    (b"a{b'", r"expected '=' after label name, found '\''"),
    ('a{b\u00e9="c"} 1'.encode(), "expected '=' after label name, found '\u00c3'"),
    (b"a{b=b} 1", "expected '\"' at start of label value, found 'b'"),
    (b"a{b='c'} 1", r"""expected '"' at start of label value, found '\''"""),
    (b"a{b=\xff} 1", "expected '\"' at start of label value, found '\u00ff'"),
    (b'a{b="c"', 'unexpected end of label value "c"'),
    (b'a{b="c" d="e"} 1', 'unexpected end of label value "c"'),
    (b'a{b="c', 'label value "c" contains unescaped new-line'),
    (b'a{b="\\z"} 1', r"invalid escape sequence '\z'"),
    ('a{b="\\\u00e9"} 1'.encode(), "invalid escape sequence '\\\u00c3'"),
    (b'a{b="c\\', "invalid escape sequence '\\\n'"),
    (b'a{b="\xff"} 1', r'invalid label value "\xff"'),
    (b'a{b="\xed\xa0\x80"} 1', r'invalid label value "\xed\xa0\x80"'),
    (b'a{__name__="b"} 1', 'label name "__name__" is reserved'),
    (b'a{"b c"="d"} 1', 'invalid label name "b c"'),
    (b'a{b="1",b="1"} 1', 'duplicate label names for metric "a"'),
    (b'a{le="1",le="1"} 1', 'duplicate label names for metric "a"'),
    (b"a", 'expected float as value, got ""'),
    (b"a foo", 'expected float as value, got "foo"'),
    (b"a 1e400", 'expected float as value, got "1e400"'),
    (b"a 0x1p-2", 'expected float as value, got "0x1p-2"'),
    (b"a 1_000", 'expected float as value, got "1_000"'),
    (b"a 1\r", r'expected float as value, got "1\r"'),
    (b'a{b="c"} \xff', r'expected float as value, got "\xff"'),
    (b"a{}{} 1", 'expected float as value, got "{}"'),
    (b"a 1 ", 'expected integer as timestamp, got ""'),
    (b"a 1 x", 'expected integer as timestamp, got "x"'),
    (b"a 1 1.5", 'expected integer as timestamp, got "1.5"'),
    (b"a 1 1_0", 'expected integer as timestamp, got "1_0"'),
    (
        b"a 1 9223372036854775808",
        'expected integer as timestamp, got "9223372036854775808"',
    ),
    (b"a 1 2 3", 'spurious string after timestamp: " 3"'),
    (b"a 1 2 # {}", 'spurious string after timestamp: " # {}"'),
    (b"# TYPE a-b gauge", "invalid metric name in comment"),
    (b"# HELP \xff text", "invalid metric name in comment"),
    (b'# TYPE "a b" gauge', 'invalid metric name "a b"'),
    (b"# HELP a \\t", r"invalid escape sequence '\t'"),
    (b"# HELP a \xff", r'invalid HELP text "\xff"'),
    (b"# TYPE a foo", 'unknown metric type "foo"'),
    (b"# TYPE a gauge ", 'unknown metric type "gauge "'),
    (b"# TYPE a gauge\r", r'unknown metric type "gauge\r"'),
    (b"# TYPE a info", 'unknown metric type "info"'),
]


@pytest.mark.parametrize(("line", "message"), REFUSED_LINES)
def test_lines_are_refused_with_the_words_of_the_pushgateway(
    line: bytes, message: str
) -> None:
    with pytest.raises(ParseError) as caught:
        parse(b"ok 1\n\n" + line + b"\nok 2\n")
    assert str(caught.value) == f"text format parsing error in line 3: {message}"
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("body", "line", "message"),
    [
        (
            b"# HELP a 1\n# HELP a 2\n",
            2,
            'second HELP line for metric name "a"',
        ),
        (
            b"a 1\n# TYPE a gauge\n",
            2,
            'second TYPE line for metric name "a", or TYPE reported after samples',
        ),
        (
            b"# TYPE a gauge\n# TYPE a gauge\n",
            2,
            'second TYPE line for metric name "a", or TYPE reported after samples',
        ),
        (
            SUMMARY + b"# TYPE x_sum gauge\n",
            2,
            'second TYPE line for metric name "x", or TYPE reported after samples',
        ),
        (
            SUMMARY + b'x{quantile="x"} 1\n',
            2,
            "expected float as value for 'quantile' label, got \"x\"",
        ),
        (
            HISTOGRAM + b'x_bucket{le=""} 1\n',
            2,
            "expected float as value for 'le' label, got \"\"",
        ),
        (
            HISTOGRAM + b'x_bucket{le="1"} -1\n',
            2,
            'negative bucket population for histogram "x"',
        ),
        (HISTOGRAM + b"x_count -0.5\n", 2, 'negative count for histogram "x"'),
        (HISTOGRAM + b"x_bucket{1} 1\n", 2, 'invalid label name for metric "x"'),
        (b"# c\na 1\nb", 3, "unexpected end of input stream"),
        (b"a 1", 1, "unexpected end of input stream"),
        (b"a foo", 1, "unexpected end of input stream"),
        (b'a{b="c', 1, "unexpected end of input stream"),
        (b'a{b="c\\', 1, "unexpected end of input stream"),
        (b"# comment", 1, "unexpected end of input stream"),
        (b"# TYPE a gauge", 1, "unexpected end of input stream"),
        (b"# HELP a b", 1, "unexpected end of input stream"),
        (b"#", 1, "unexpected end of input stream"),
        (b"1", 1, "invalid metric name"),
    ],
)
def test_bodies_are_refused_with_the_line(body: bytes, line: int, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(body)
    assert str(caught.value) == f"text format parsing error in line {line}: {message}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\n",
        b"  \t",
        b"#\n# \n#EOF\n# EOF\n# HELP\n# HELP \n# HELP a\n# TYPE a \n#TYPE\n",
        b"# help a x\n# type a foo\n",
        b"# \xff\xfe any bytes \\z\n",
        b"# TYPE a gauge\n# HELP a without samples\n",
    ],
)
def test_bodies_without_samples_are_empty(body: bytes) -> None:
    assert parse(body) == []


@pytest.mark.parametrize(
    ("word", "type_"),
    [
        (b"counter", MetricType.COUNTER),
        (b"GAUGE", MetricType.GAUGE),
        (b"Summary", MetricType.SUMMARY),
        (b"untyped", MetricType.UNTYPED),
        (b"histogram", MetricType.HISTOGRAM),
        (b"gauge_histogram", MetricType.GAUGE_HISTOGRAM),
        (b"gaugehistogram", MetricType.GAUGE_HISTOGRAM),
    ],
)
@pytest.mark.parametrize("comment", [b"# TYPE a ", b" #\tTYPE  a\t ", b'#TYPE "a" '])
def test_the_type_is_read(comment: bytes, word: bytes, type_: MetricType) -> None:
    (family,) = parse(comment + word + b"\na 1\n")
    assert family.type == type_


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"# HELP a  some text ", "some text "),
        (b"#HELP\ta\tb", "b"),
        (rb"# HELP a \\ \n \" \\n", '\\ \n " \\n'),
        ("# HELP a \u00e9\x00".encode(), "\u00e9\x00"),
        (b"# HELP a ", ""),
    ],
)
def test_help_is_read_also_after_samples(line: bytes, text: str) -> None:
    (family,) = parse(b"a 1\n" + line + b"\n")
    assert family.help == text


def test_families_come_in_order_of_appearance_with_metrics_as_pushed() -> None:
    body = b'# TYPE c gauge\nb{x="2"} 1\na 1\nb{x="1"} 2\nc 1\n'
    families = parse(body)
    assert [family.name for family in families] == ["c", "b", "a"]
    assert [own_labels(metric) for metric in families[1].metrics] == [
        {"x": "2"},
        {"x": "1"},
    ]


def test_labels_of_the_group_override_those_of_the_body() -> None:
    key = GroupingKey.of({"job": "etl", "shard": "7"})
    (family,) = parse_text(b'a{shard="1",job="x",z=""} 1\n', key, Limits())
    assert family.metrics[0].labels == (
        ("instance", ""),
        ("job", "etl"),
        ("shard", "7"),
        ("z", ""),
    )


@pytest.mark.parametrize(
    "body",
    [b"a 1 0\na 2\n", b"a 1\na 2 -5\n", SUMMARY.replace(b"x", b"a") + b"a_sum 1 +07\n"],
)
def test_a_timestamp_marks_the_family(body: bytes) -> None:
    families = parse(body + b"b 1\n")
    assert [family.timestamped for family in families] == [True, False]


def test_the_lines_of_a_summary_become_one_metric() -> None:
    metric = only_metric(
        SUMMARY + b'x{a="1",quantile="0.5"} 2\nx_sum{a="1"} 3.5\n'
        b'x{quantile="0.9",a="1"} NaN\nx{a="1",quantile="NaN"} 7\nx{a="1"} 7\n'
        b'x_count{a="1"} 4\n'
    )
    assert own_labels(metric) == {"a": "1"}
    assert isinstance(metric.value, Summary)
    assert metric.value.sample_count == 4
    assert metric.value.sample_sum == 3.5
    (median, last) = metric.value.quantiles
    assert median == (0.5, 2.0)
    assert last[0] == 0.9
    assert isnan(last[1])


@pytest.mark.parametrize(
    ("written", "count"),
    [
        (b"2.7", 2),
        (b"-0.5", 0),
        (b"-2", 2**64 - 2),
        (b"-2.7", 2**64 - 2),
        (b"1e19", 10**19),
        (b"1e20", 2**63),
        (b"-1e19", 2**63),
        (b"NaN", 2**63),
        (b"+Inf", 2**63),
        (b"-Inf", 2**63),
    ],
)
def test_the_count_of_a_summary_is_converted_as_go_does(
    written: bytes, count: int
) -> None:
    value = only_metric(SUMMARY + b"x_count " + written + b"\n").value
    assert isinstance(value, Summary)
    assert value.sample_count == count


@pytest.mark.parametrize("word", [b"histogram", b"gaugehistogram"])
def test_the_lines_of_a_histogram_become_one_metric(word: bytes) -> None:
    metric = only_metric(
        b"# TYPE x " + word + b'\nx_bucket{le="1",a="b"} 2\nx_sum{a="b"} 3.5\n'
        b'x{a="b",le="+Inf"} 3\nx_bucket{a="b",le="nan"} 9\nx_count{a="b"} 3\n'
    )
    assert own_labels(metric) == {"a": "b"}
    assert metric.value == Histogram(3, 3.5, [(1.0, 2), (inf, 3)])


def test_whole_counts_of_a_histogram_are_integers() -> None:
    value = only_metric(HISTOGRAM + b'x_bucket{le="1"} 2.0\nx_count 1e3\n').value
    assert isinstance(value, Histogram)
    assert [type(value.sample_count), type(value.buckets[0][1])] == [int, int]


@pytest.mark.parametrize("count", [b"0.5", b"+Inf", b"2e19"])
def test_one_fractional_count_makes_all_counts_of_a_histogram_floats(
    count: bytes,
) -> None:
    (family,) = parse(
        HISTOGRAM + b'x_bucket{le="1"} 2\nx_count 3\nx_bucket{le="2"} ' + count + b"\n"
        b'x_count{other="1"} 3\n'
    )
    value, other = (metric.value for metric in family.metrics)
    assert value == Histogram(3.0, 0.0, [(1.0, 2.0), (2.0, float(count))])
    assert isinstance(value, Histogram)
    assert isinstance(other, Histogram)
    assert isinstance(value.sample_count, float)
    assert isinstance(other.sample_count, int)


def test_the_last_of_repeated_bounds_counts() -> None:
    metric = only_metric(HISTOGRAM + b'x_bucket{le="1",le="2"} 3\n')
    assert metric.value == Histogram(0, 0.0, [(2.0, 3)])


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (b"x_sum 1\nx_count 1\n", ["x_sum", "x_count"]),
        (b"x_sum 1\n" + SUMMARY + b"x_sum 2\nx_count 3\n", ["x_sum", "x"]),
        (SUMMARY + b"x_bucket 1\nx_count 1\n", ["x", "x_bucket"]),
        (b"# TYPE x counter\nx_count 1\n", ["x_count"]),
        (HISTOGRAM + b"x_total 1\n", ["x_total"]),
        (b"# HELP x h\nx_count 1\n" + HISTOGRAM, ["x_count"]),
    ],
)
def test_suffixes_mean_something_only_after_the_type(
    body: bytes, names: list[str]
) -> None:
    assert sorted(family.name for family in parse(body)) == sorted(names)


@pytest.mark.parametrize(
    ("line", "name", "labels"),
    [
        (b'{"my.name","l.b"="v",c="d"} 1', "my.name", {"l.b": "v", "c": "d"}),
        (b'"my.name" 1', "my.name", {}),
        ('{"\u00e9"} 1'.encode(), "\u00e9", {}),
        (rb'{"a\"\\\n"} 1', 'a"\\\n', {}),
        (b'x{"b c"="d"} 1', "x", {"b c": "d"}),
    ],
)
def test_quoted_names_may_be_any_utf8_where_that_is_allowed(
    line: bytes, name: str, labels: dict[str, str]
) -> None:
    (family,) = parse(line + b"\n", utf8_names=True)
    assert family.name == name
    assert own_labels(family.metrics[0]) == labels


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'"\xff" 1', r'invalid metric name "\xff"'),
        (b'a{"\xff"="b"} 1', r'invalid label name "\xff"'),
        (b'"" 1', "invalid metric name"),
        (b"a.b 1", 'expected float as value, got ".b"'),
    ],
)
def test_utf8_names_have_rules_too(line: bytes, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(line + b"\n", utf8_names=True)
    assert str(caught.value) == f"text format parsing error in line 1: {message}"


def test_quoted_types_and_suffixes_belong_together() -> None:
    (family,) = parse(
        b'# HELP "a.b" text\n# TYPE "a.b" histogram\n'
        b'{"a.b_bucket",le="1"} 2\n{le="+Inf","a.b_bucket"} 3\n{"a.b_count"} 3\n',
        utf8_names=True,
    )
    assert (family.name, family.help) == ("a.b", "text")
    assert family.metrics[0].value == Histogram(3, 0.0, [(1.0, 2), (inf, 3)])


def test_a_message_does_not_repeat_a_long_line() -> None:
    with pytest.raises(ParseError) as caught:
        parse(b"a " + b"x" * 1_000_000 + b"\n")
    assert len(str(caught.value)) < 2000


@pytest.mark.parametrize(
    ("limits", "body", "limit"),
    [
        (Limits(series=2), b"a 1\nb 1\nb 2\n!", "series"),
        (Limits(series=1), HISTOGRAM + b'x_sum 1\nx_sum{a="b"} 1\n', "series"),
        (
            Limits(series=2),
            b"".join(b"# TYPE a%d gauge\n" % n for n in range(3)),
            "series",
        ),
        (Limits(series=2), b"# HELP a A.\n# HELP b B.\n# HELP c C.\n", "series"),
        (Limits(series=2), b"# TYPE\ta gauge\n# TYPE\tb gauge\n# TYPE\tc x", "series"),
        (Limits(labels=1), b'a{b="1",c="2"} 1\n', "labels"),
        (Limits(labels=1), b'a{b="1", c="2", d="3"} 1\n', "labels"),
        (Limits(labels=1), HISTOGRAM + b"x{" + b'le="1",' * 3 + b"} 1\n", "labels"),
        (Limits(label_value_bytes=3), b'a{b="1234"} 1\n', "label_value_bytes"),
        (Limits(label_value_bytes=3), b'a{b=\t"1234"} 1\n', "label_value_bytes"),
    ],
)
def test_limits_are_kept(limits: Limits, body: bytes, limit: str) -> None:
    with pytest.raises(LimitExceeded) as caught:
        parse_text(body, KEY, limits)
    assert caught.value.limit == limit


def test_as_many_families_as_series_may_be_pushed() -> None:
    body = b"# TYPE a gauge\n# TYPE b gauge\na 1\nb 1\n# HELP a A.\n"
    assert len(parse_text(body, KEY, Limits(series=2))) == 2


def test_many_lines_of_a_histogram_are_one_series() -> None:
    body = HISTOGRAM + b"".join(b'x_bucket{le="%d"} 1\n' % n for n in range(100))
    (family,) = parse_text(body, KEY, Limits(series=1, labels=1))
    assert len(family.metrics) == 1


def test_long_labels_are_read() -> None:
    value = "v" * 10_000
    metric = only_metric(f'a{{b="{value}"}} 1\n'.encode())
    assert own_labels(metric) == {"b": value}


def test_many_series_are_read() -> None:
    body = b"".join(b'a{b="%d"} %d\n' % (n, n) for n in range(10_000))
    (family,) = parse(body + body.replace(b"a{", b"b{"))[:1]
    assert [own_labels(metric)["b"] for metric in family.metrics] == [
        str(metric.value).removesuffix(".0") for metric in family.metrics
    ]
    assert len(family.metrics) == 10_000


def test_a_comma_too_many_before_a_bound_is_refused() -> None:
    body = b'# TYPE a histogram\na_bucket{b="c",,le="1"} 1\n'
    with pytest.raises(ParseError, match='line 2: invalid label name for metric "a"'):
        parse_text(body, KEY, Limits())
