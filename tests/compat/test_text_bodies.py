"""Pushes in the text format: what the parser takes, and what it refuses how."""

from __future__ import annotations

import pytest
from exposition_page import block, lines_of, pushed
from relay_process import HTTPClient

# A body, and the series that a scrape shows of it, less the grouping labels.
ACCEPTED: dict[str, tuple[str, list[str]]] = {
    "a sample": ("a 1\n", ["a 1 untyped"]),
    "no lines at all": ("", []),
    "only empty lines": ("\n\n \n\t\n", []),
    "only comments": ("# hello\n#\n# EOF\n", []),
    "leading blanks": (" \t a 1\n", ["a 1 untyped"]),
    "several blanks between tokens": ("a \t 1\n", ["a 1 untyped"]),
    "a name with colons": ("a:b:c 1\n", ["a:b:c 1 untyped"]),
    "a name of underscores": ("_ 1\n__a 2\n", ["_ 1 untyped", "__a 2 untyped"]),
    "a comment between lines": ("a 1\n# x\nb 2\n", ["a 1 untyped", "b 2 untyped"]),
    "interleaved families": (
        'a{l="1"} 1\nb 2\na{l="2"} 3\n',
        ['a{l="1"} 1 untyped', 'a{l="2"} 3 untyped', "b 2 untyped"],
    ),
    # labels
    "labels": ('a{l="v",m="w"} 1\n', ['a{l="v",m="w"} 1 untyped']),
    "empty braces": ("a{} 1\n", ["a 1 untyped"]),
    "blanks around braces": ('a { l = "v" , m="w" } 1\n', ['a{l="v",m="w"} 1 untyped']),
    "blanks in empty braces": ("a{ } 1\n", ["a 1 untyped"]),
    "a trailing comma": ('a{l="v",} 1\n', ['a{l="v"} 1 untyped']),
    "no blank after the braces": ('a{l="v"}1\n', ['a{l="v"} 1 untyped']),
    "an empty label value": ('a{l=""} 1\n', ['a{l=""} 1 untyped']),
    "label values of any UTF-8": ('a{l="ü日🚀"} 1\n', ['a{l="ü日🚀"} 1 untyped']),
    "label values with NUL": ('a{l="x\0y"} 1\n', ['a{l="x\0y"} 1 untyped']),
    "label values with CR": ('a{l="x\ry"} 1\n', ['a{l="x\ry"} 1 untyped']),
    "escapes in label values": (
        r'a{l="back\\slash\"quote\nline"} 1' + "\n",
        ['a{l="back\\slash"quote\nline"} 1 untyped'],
    ),
    "braces in label values": ('a{l="{},=# "} 1\n', ['a{l="{},=# "} 1 untyped']),
    # values
    "a decimal": ("a 1.5\n", ["a 1.5 untyped"]),
    "no digits before the point": ("a .5\n", ["a 0.5 untyped"]),
    "no digits after the point": ("a 5.\n", ["a 5 untyped"]),
    "a plus sign": ("a +1\n", ["a 1 untyped"]),
    "exponents": ("a 1e3\nb 1E-3\n", ["a 1000 untyped", "b 0.001 untyped"]),
    "NaN in any case": ("a NaN\nb nan\nc NAN\n", [f"{n} NaN untyped" for n in "abc"]),
    "infinities": (
        "a Inf\nb +inf\nc -INF\nd Infinity\ne -infinity\n",
        [f"{n} {sign}Inf untyped" for n, sign in zip("abcde", "++-+-", strict=True)],
    ),
    "underflow": ("a 1e-400\n", ["a 0 untyped"]),
    # TYPE
    "each plain type": (
        "# TYPE a counter\na 1\n# TYPE b gauge\nb 2\n# TYPE c untyped\nc 3\n",
        ["a 1 counter", "b 2 gauge", "c 3 untyped"],
    ),
    "a type in any case": ("# TYPE a GauGe\na 1\n", ["a 1 gauge"]),
    "no blank after the hash": ("#TYPE a gauge\na 1\n", ["a 1 gauge"]),
    "blanks around the words of TYPE": ("#  TYPE  a\tgauge\na 1\n", ["a 1 gauge"]),
    "a type keyword in lower case is a comment": (
        "# type a gauge\na 1\n",
        ["a 1 untyped"],
    ),
    "keywords alone are ignored": (
        "# TYPE\n# HELP\n# TYPE a\n# HELP a\na 1\n",
        ["a 1 untyped"],
    ),
    "a family without samples is dropped": (
        "# HELP a Text.\n# TYPE a gauge\nb 1\n",
        ["b 1 untyped"],
    ),
    "a type before samples of another family": (
        "# TYPE a gauge\nb 1\na 2\n",
        ["a 2 gauge", "b 1 untyped"],
    ),
    # summaries
    "a summary": (
        '# TYPE s summary\ns{quantile="0.5"} 1\ns_sum 2\ns_count 3\n',
        ['s{quantile="0.5"} 1 summary', "s_count 3 summary", "s_sum 2 summary"],
    ),
    "a summary without quantiles": (
        "# TYPE s summary\ns_sum 2\ns_count 3\n",
        ["s_count 3 summary", "s_sum 2 summary"],
    ),
    "a summary without sum and count": (
        '# TYPE s summary\ns{quantile="0.5"} 1\n',
        ['s{quantile="0.5"} 1 summary', "s_count 0 summary", "s_sum 0 summary"],
    ),
    "series of a summary": (
        '# TYPE s summary\ns{l="1",quantile="0.5"} 1\ns{l="2",quantile="0.5"} 2\n'
        's_sum{l="2"} 20\ns_sum{l="1"} 10\ns_count{l="1"} 1\ns_count{l="2"} 2\n',
        [
            's_count{l="1"} 1 summary',
            's_count{l="2"} 2 summary',
            's_sum{l="1"} 10 summary',
            's_sum{l="2"} 20 summary',
            's{l="1",quantile="0.5"} 1 summary',
            's{l="2",quantile="0.5"} 2 summary',
        ],
    ),
    "a quantile in another spelling": (
        '# TYPE s summary\ns{quantile="5e-1"} 1\ns_sum 2\ns_count 3\n',
        ['s{quantile="0.5"} 1 summary', "s_count 3 summary", "s_sum 2 summary"],
    ),
    "a summary count is truncated": (
        "# TYPE s summary\ns_sum 2\ns_count 2.7\n",
        ["s_count 2 summary", "s_sum 2 summary"],
    ),
    "a bucket next to a summary is a family": (
        "# TYPE s summary\ns_sum 2\ns_count 3\ns_bucket 4\n",
        ["s_bucket 4 untyped", "s_count 3 summary", "s_sum 2 summary"],
    ),
    # histograms
    "a histogram": (
        '# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 3\n'
        "h_sum 4.5\nh_count 3\n",
        [
            'h_bucket{le="+Inf"} 3 histogram',
            'h_bucket{le="1"} 2 histogram',
            "h_count 3 histogram",
            "h_sum 4.5 histogram",
        ],
    ),
    "a histogram without +Inf": (
        '# TYPE h histogram\nh_bucket{le="1"} 2\nh_sum 4.5\nh_count 3\n',
        [
            'h_bucket{le="+Inf"} 3 histogram',
            'h_bucket{le="1"} 2 histogram',
            "h_count 3 histogram",
            "h_sum 4.5 histogram",
        ],
    ),
    "a bound in another spelling": (
        '# TYPE h histogram\nh_bucket{le="1.0"} 2\nh_bucket{le="1e1"} 3\n'
        "h_sum 4.5\nh_count 3\n",
        [
            'h_bucket{le="+Inf"} 3 histogram',
            'h_bucket{le="1"} 2 histogram',
            'h_bucket{le="10"} 3 histogram',
            "h_count 3 histogram",
            "h_sum 4.5 histogram",
        ],
    ),
    "fractional counts make a float histogram": (
        '# TYPE h histogram\nh_bucket{le="1"} 0.5\nh_sum 4.5\nh_count 1.5\n',
        [
            'h_bucket{le="+Inf"} 1.5 histogram',
            'h_bucket{le="1"} 0.5 histogram',
            "h_count 1.5 histogram",
            "h_sum 4.5 histogram",
        ],
    ),
    "suffixes declared later are families of their own": (
        "g_sum 1\ng_count 2\n# TYPE h histogram\nh_sum 3\nh_count 4\n",
        [
            "g_count 2 untyped",
            "g_sum 1 untyped",
            'h_bucket{le="+Inf"} 4 histogram',
            "h_count 4 histogram",
            "h_sum 3 histogram",
        ],
    ),
    "suffixes of a gauge are families of their own": (
        "# TYPE g gauge\ng 1\ng_sum 2\ng_count 3\ng_bucket 4\n",
        ["g 1 gauge", "g_bucket 4 untyped", "g_count 3 untyped", "g_sum 2 untyped"],
    ),
    "quantile and le on other types are labels": (
        '# TYPE g gauge\ng{quantile="x"} 1\nu{le="y"} 2\n',
        ['g{quantile="x"} 1 gauge', 'u{le="y"} 2 untyped'],
    ),
    "a gauge histogram is shown as a histogram": (
        '# TYPE h gauge_histogram\nh_bucket{le="1"} 2\nh_sum 4.5\nh_count 3\n',
        [
            'h_bucket{le="+Inf"} 3 histogram',
            'h_bucket{le="1"} 2 histogram',
            "h_count 3 histogram",
            "h_sum 4.5 histogram",
        ],
    ),
    "a gauge histogram in one word": (
        "# TYPE h gaugehistogram\nh_sum 4.5\nh_count 3\n",
        [
            'h_bucket{le="+Inf"} 3 histogram',
            "h_count 3 histogram",
            "h_sum 4.5 histogram",
        ],
    ),
    # quoted names
    "a quoted name in braces": ('{"a",l="v"} 1\n', ['a{l="v"} 1 untyped']),
    "a quoted name alone": ('"a" 1\n', ["a 1 untyped"]),
    "a quoted name alone in braces": ('{"a"} 1\n', ["a 1 untyped"]),
    "a quoted name after labels": ('{l="v","a"} 1\n', ['a{l="v"} 1 untyped']),
    "a quoted label name": ('a{"l"="v"} 1\n', ['a{l="v"} 1 untyped']),
    "a quoted name in TYPE": ('# TYPE "a" gauge\na 1\n', ["a 1 gauge"]),
}

HELP = {
    "a plain text": ("# HELP a Some text.\na 1\n", "# HELP a Some text.\n"),
    "blanks before it": ("# HELP a \t Text.\na 1\n", "# HELP a Text.\n"),
    "blanks after it are kept": ("# HELP a Text. \na 1\n", "# HELP a Text. \n"),
    "escapes": (r"# HELP a A\\b\nc" + "\na 1\n", r"# HELP a A\\b\nc" + "\n"),
    "an escaped quote": (r"# HELP a \"A\"" + "\na 1\n", '# HELP a "A"\n'),
    "a bare quote": ('# HELP a "A"\na 1\n', '# HELP a "A"\n'),
    "UTF-8": ("# HELP a Größe\na 1\n", "# HELP a Größe\n"),
    "a hash in it": ("# HELP a A # b\na 1\n", "# HELP a A # b\n"),
    "no blank after the hash": ("#HELP a Text.\na 1\n", "# HELP a Text.\n"),
    "after the samples": ("a 1\n# HELP a Text.\n", "# HELP a Text.\n"),
    "none": ("a 1\n", ""),
    "empty": ("# HELP a \na 1\n", ""),
    "a quoted name": ('# HELP "a" Text.\na 1\n', "# HELP a Text.\n"),
}

# A body, the line of its first error, and the message.
REFUSED: dict[str, tuple[str, int, str]] = {
    "no final newline": ("a 1", 1, "unexpected end of input stream"),
    "no final newline after a good line": (
        "a 1\nb 2",
        2,
        "unexpected end of input stream",
    ),
    "no final newline in a comment": ("a 1\n# c", 2, "unexpected end of input stream"),
    "no final newline in labels": ('a{l="v"', 1, "unexpected end of input stream"),
    "the line counts": ("a 1\n\n# c\nb x\n", 4, 'expected float as value, got "x"'),
    "a name that begins with a digit": ("1a 1\n", 1, "invalid metric name"),
    "a name that is no ASCII": ("ü 1\n", 1, "invalid metric name"),
    "a byte order mark": ("\ufeffa 1\n", 1, "invalid metric name"),
    "a bad name in TYPE": ("# TYPE 1a gauge\n", 1, "invalid metric name in comment"),
    "a bad name in HELP": ("# HELP 1a Text.\n", 1, "invalid metric name in comment"),
    # labels
    "a bad label name": ('a{1l="v"} 1\n', 1, 'invalid label name for metric "a"'),
    "a comma alone in braces": ("a{,} 1\n", 1, 'invalid label name for metric "a"'),
    "two commas": ('a{l="v",,} 1\n', 1, 'invalid label name for metric "a"'),
    "a dash in a label name": (
        'a{l-m="v"} 1\n',
        1,
        "expected '=' after label name, found '-'",
    ),
    "no value of a label": ("a{l} 1\n", 1, "expected '=' after label name, found '}'"),
    "an unquoted label value": (
        "a{l=b} 1\n",
        1,
        "expected '\"' at start of label value, found 'b'",
    ),
    "a single-quoted label value": (
        "a{l='b'} 1\n",
        1,
        r"""expected '"' at start of label value, found '\''""",
    ),
    "no comma between labels": (
        'a{l="b" m="c"} 1\n',
        1,
        'unexpected end of label value "b"',
    ),
    "a newline in a label value": (
        'a{l="b\nc"} 1\n',
        1,
        'label value "b" contains unescaped new-line',
    ),
    "an unknown escape": (r'a{l="\z"} 1' + "\n", 1, r"invalid escape sequence '\z'"),
    "an escaped tab": (r'a{l="\t"} 1' + "\n", 1, r"invalid escape sequence '\t'"),
    "a reserved label": (
        'a{__name__="b"} 1\n',
        1,
        'label name "__name__" is reserved',
    ),
    "a label twice": (
        'a{l="1",l="2"} 1\n',
        1,
        'duplicate label names for metric "a"',
    ),
    "a label twice with one value": (
        'a{l="1",l="1"} 1\n',
        1,
        'duplicate label names for metric "a"',
    ),
    # values
    "no value": ("a\n", 1, 'expected float as value, got ""'),
    "no value after a blank": ("a \n", 1, 'expected float as value, got ""'),
    "a word": ("a foo\n", 1, 'expected float as value, got "foo"'),
    "a hexadecimal value": ("a 0x10\n", 1, 'expected float as value, got "0x10"'),
    "a hexadecimal exponent": ("a 1p3\n", 1, 'expected float as value, got "1p3"'),
    "underscores in a value": ("a 1_000\n", 1, 'expected float as value, got "1_000"'),
    "a decimal comma": ("a 1,5\n", 1, 'expected float as value, got "1,5"'),
    "a value out of range": ("a 1e400\n", 1, 'expected float as value, got "1e400"'),
    "a signed NaN": ("a -NaN\n", 1, 'expected float as value, got "-NaN"'),
    "Arabic digits": (
        "a \u0661\n",
        1,
        'expected float as value, got "\u0661"',
    ),
    "CRLF": ("a 1\r\n", 1, r'expected float as value, got "1\r"'),
    # timestamps
    "a blank after the value": ("a 1 \n", 1, 'expected integer as timestamp, got ""'),
    "a word as timestamp": ("a 1 x\n", 1, 'expected integer as timestamp, got "x"'),
    "a float as timestamp": (
        "a 1 1.5\n",
        1,
        'expected integer as timestamp, got "1.5"',
    ),
    "a timestamp out of range": (
        "a 1 9223372036854775808\n",
        1,
        'expected integer as timestamp, got "9223372036854775808"',
    ),
    "more after the timestamp": (
        "a 1 2 3\n",
        1,
        'spurious string after timestamp: " 3"',
    ),
    "an exemplar": (
        '# TYPE a counter\na 1 # {t="1"} 1\n',
        2,
        'expected integer as timestamp, got "#"',
    ),
    # HELP and TYPE
    "a second HELP": (
        "# HELP a x\n# HELP a x\n",
        2,
        'second HELP line for metric name "a"',
    ),
    "an unknown escape in HELP": (
        r"# HELP a \z" + "\n",
        1,
        r"invalid escape sequence '\z'",
    ),
    "a second TYPE": (
        "# TYPE a gauge\n# TYPE a gauge\n",
        2,
        'second TYPE line for metric name "a", or TYPE reported after samples',
    ),
    "a TYPE after samples": (
        "a 1\n# TYPE a gauge\n",
        2,
        'second TYPE line for metric name "a", or TYPE reported after samples',
    ),
    "an unknown type": ("# TYPE a foo\n", 1, 'unknown metric type "foo"'),
    "OpenMetrics' unknown": ("# TYPE a unknown\n", 1, 'unknown metric type "unknown"'),
    "OpenMetrics' info": ("# TYPE a info\n", 1, 'unknown metric type "info"'),
    "OpenMetrics' stateset": (
        "# TYPE a stateset\n",
        1,
        'unknown metric type "stateset"',
    ),
    "a blank after the type": ("# TYPE a gauge \n", 1, 'unknown metric type "gauge "'),
    "CRLF after the type": (
        "# TYPE a gauge\r\na 1\r\n",
        1,
        r'unknown metric type "gauge\r"',
    ),
    # summaries and histograms
    "a quantile that is no float": (
        '# TYPE s summary\ns{quantile="x"} 1\n',
        2,
        "expected float as value for 'quantile' label, got \"x\"",
    ),
    "a bound that is no float": (
        '# TYPE h histogram\nh_bucket{le="x"} 1\n',
        2,
        "expected float as value for 'le' label, got \"x\"",
    ),
    # quoted names
    "two names": ('{"a","b"} 1\n', 1, 'multiple metric names for metric "a"'),
    "a quoted name after an unquoted one": (
        'a{"b"} 1\n',
        1,
        "expected '=' after label name, found '}'",
    ),
    "a quoted name outside of the legacy set": (
        '{"a b"} 1\n',
        1,
        'invalid metric name "a b"',
    ),
    "a quoted label name outside of the legacy set": (
        'a{"b c"="v"} 1\n',
        1,
        'invalid label name "b c"',
    ),
}

# Refused too, in words that the parser may choose.
REFUSED_SOMEHOW = {
    "a name that begins with an at sign": b"@a 1\n",
    "a label value that is not UTF-8": b'a{l="\xff"} 1\n',
    "a label value that is an encoded surrogate": b'a{l="\xed\xa0\x80"} 1\n',
    "a name that is not UTF-8": b"\xff 1\n",
    "a negative bucket": b'# TYPE h histogram\nh_bucket{le="1"} -1\nh_count 1\n',
    "a negative count": b"# TYPE h histogram\nh_sum 1\nh_count -1\n",
    "braces without a name": b'{l="v"} 1\n',
    "an unclosed quoted name": b'"a 1\n',
    "an unclosed brace": b'a{l="v" 1\n',
    "NUL": b"\0\n",
}


@pytest.mark.parametrize(("body", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_accepts(relay: HTTPClient, body: str, expected: list[str]) -> None:
    response = relay.put("/metrics/job/x", body)
    assert (response.status, response.text) == (200, "")
    assert lines_of(pushed(relay.page())) == sorted(expected)


@pytest.mark.parametrize(("body", "expected"), HELP.values(), ids=HELP)
def test_keeps_help(relay: HTTPClient, body: str, expected: str) -> None:
    assert relay.put("/metrics/job/x", body).text == ""
    lines = block(relay.page(), "a").splitlines(keepends=True)
    assert "".join(line for line in lines if line.startswith("# HELP")) == expected


@pytest.mark.parametrize(("body", "line", "message"), REFUSED.values(), ids=REFUSED)
def test_refuses(relay: HTTPClient, body: str, line: int, message: str) -> None:
    response = relay.put("/metrics/job/x", body)
    expected = f"text format parsing error in line {line}: {message}\n"
    assert (response.status, response.text) == (400, expected)
    assert relay.groups() == []


@pytest.mark.parametrize("body", REFUSED_SOMEHOW.values(), ids=REFUSED_SOMEHOW)
def test_refuses_somehow(relay: HTTPClient, body: bytes) -> None:
    response = relay.put("/metrics/job/x", body)
    assert response.status == 400
    assert response.text.startswith("text format parsing error in line ")
    assert relay.groups() == []


def test_an_unreadable_push_changes_nothing(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x", "a 1\n")
    before = relay.page().partition("# TYPE push_failure_time_seconds")
    assert relay.put("/metrics/job/x", "a 2\nb\n").status == 400
    after = relay.page()
    assert lines_of(pushed(after)) == ["a 1 untyped"]
    assert block(after, "push_time_seconds") in before[2]
    assert relay.group(job="x")["last_push_successful"] is True  # type: ignore[index]


def test_counts_beyond_a_float_are_exact(relay: HTTPClient) -> None:
    body = "# TYPE s summary\ns_sum 1\ns_count 9007199254740992\n"
    assert relay.put("/metrics/job/x", body).status == 200
    assert "s_count" in relay.page()
    [metric] = relay.group(job="x")["s"]["metrics"]  # type: ignore[index]
    assert metric["count"] == "9007199254740992"
