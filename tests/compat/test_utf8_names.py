"""Names beyond the legacy set, with the flag that allows them."""

from __future__ import annotations

import pytest
from exposition_page import block, lines_of, pushed
from relay_process import HTTPClient, RelayProcess

ALLOW_UTF8 = "text/plain;version=1.0.0;escaping=allow-utf-8"

# A label name in the path, and the name that it stands for.
LABEL_NAMES = {
    "l": "l",
    "foo.bar": "foo.bar",
    "my-label": "my-label",
    "1l": "1l",
    "a%20b": "a b",
    "%C3%BC": "ü",
    "U__foo_2e_bar": "foo.bar",
    "U__foo_2E_bar": "foo.bar",
    "U__a__b": "a_b",
    "U____x": "_x",
    "U___55_____": "U__",
    "U__a_1F600_": "a😀",
    "U__a_00002e_b": "a.b",
    "U___31_a": "1a",
    "U__plain": "plain",
    # what is malformed is a name as it stands
    "U__a_zz_": "U__a_zz_",
    "U__a_2e": "U__a_2e",
    "U__a_": "U__a_",
    "U__a_000002e_": "U__a_000002e_",
    "U__a_d800_": "U__a_d800_",
    "U_a": "U_a",
    "u__a_2e_b": "u__a_2e_b",
}

IMPROPER_LABEL_NAMES = ["", "__x", "__name__", "U__"]

# `_55_` is a U and `_5f_` an underscore: these decode to reserved names.
RESERVED_WHEN_DECODED = ["U___5f__5f_name", "U_____5f_name", "U___5f___name__"]

ACCEPTED = {
    "a metric name": ('{"a.b"} 1\n', ["a.b 1 untyped"]),
    "a metric name with labels": ('{"a.b",l="v"} 1\n', ['a.b{l="v"} 1 untyped']),
    "a label name": ('a{"l.m"="v"} 1\n', ['a{l.m="v"} 1 untyped']),
    "both": ('{"a.b","l.m"="v",n="w"} 1\n', ['a.b{l.m="v",n="w"} 1 untyped']),
    "a name before the value": ('"a.b" 1\n', ["a.b 1 untyped"]),
    "blanks and other scripts": (
        '{"größe in cm","日"="v"} 1\n',
        ['größe in cm{日="v"} 1 untyped'],
    ),
    "a type": ('# TYPE "a.b" gauge\n{"a.b"} 1\n', ["a.b 1 gauge"]),
    "a counter": ('# TYPE "a.b" counter\n{"a.b",l="v"} 1\n', ['a.b{l="v"} 1 counter']),
    "a summary": (
        '# TYPE "a.b" summary\n'
        '{"a.b",quantile="0.5"} 1\n{"a.b_sum"} 2\n{"a.b_count"} 3\n',
        ['a.b{quantile="0.5"} 1 summary', "a.b_count 3 summary", "a.b_sum 2 summary"],
    ),
    "a histogram": (
        '# TYPE "a.b" histogram\n'
        '{"a.b_bucket",le="1"} 1\n{"a.b_sum"} 2\n{"a.b_count"} 3\n',
        [
            'a.b_bucket{le="+Inf"} 3 histogram',
            'a.b_bucket{le="1"} 1 histogram',
            "a.b_count 3 histogram",
            "a.b_sum 2 histogram",
        ],
    ),
}

REFUSED = {
    "an unquoted name": "a.b 1\n",
    "an unquoted label name": 'a{l.m="v"} 1\n',
    "an empty name": '{""} 1\n',
    "an empty label name": 'a{""="v"} 1\n',
    "a name that is not UTF-8": b'{"a\xff"} 1\n',
    "a name that is not closed": '{"a.b} 1\n',
    "a name twice": '{"a.b","c.d"} 1\n',
    "a name as label": 'a{"__name__"="v"} 1\n',
}


@pytest.mark.parametrize(("written", "name"), LABEL_NAMES.items())
def test_a_path_may_name_any_label(
    utf8_relay: RelayProcess, written: str, name: str
) -> None:
    response = utf8_relay.put(f"/metrics/job/x/{written}/v", "a 1\n")
    assert (response.status, response.text) == (200, "")
    assert utf8_relay.grouping_keys() == [{"job": "x", name: "v"}]
    assert lines_of(pushed(utf8_relay.page(ALLOW_UTF8))) == [
        f'a{{{name}="v"}} 1 untyped'
    ]
    assert utf8_relay.delete(f"/metrics/job/x/{written}/v").status == 202
    assert utf8_relay.groups() == []


def test_spellings_of_one_label_name_share_a_group(utf8_relay: RelayProcess) -> None:
    for path in ("foo.bar/v", "U__foo_2e_bar/v", "foo.bar@base64/dg"):
        assert utf8_relay.put(f"/metrics/job/x/{path}", "a 1\n").status == 200
    assert utf8_relay.grouping_keys() == [{"job": "x", "foo.bar": "v"}]


def test_the_base64_suffix_is_cut_before_a_name_is_decoded(
    utf8_relay: RelayProcess,
) -> None:
    path = "/metrics/job/x/U__foo_2e_bar@base64/YS9i"
    assert utf8_relay.put(path, "a 1\n").status == 200
    assert utf8_relay.grouping_keys() == [{"job": "x", "foo.bar": "a/b"}]


@pytest.mark.parametrize("written", IMPROPER_LABEL_NAMES)
def test_improper_label_names_are_refused(
    utf8_relay: RelayProcess, written: str
) -> None:
    # An empty component would be cleaned away, hence the suffix.
    response = utf8_relay.put(f"/metrics/job/x/{written}@base64/dg", "a 1\n")
    assert response.status == 400
    assert response.text.startswith("improper label name ")
    assert utf8_relay.groups() == []


@pytest.mark.parametrize("written", RESERVED_WHEN_DECODED)
def test_a_reserved_name_in_disguise_poisons_nothing(
    utf8_relay: RelayProcess, written: str
) -> None:
    assert utf8_relay.put(f"/metrics/job/x/{written}/v", "a 1\n").status == 400
    assert utf8_relay.groups() == []
    assert utf8_relay.put("/metrics/job/y", "a 1\n").status == 200
    assert utf8_relay.get("/metrics").status == 200


@pytest.mark.parametrize(("body", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_text_may_quote_any_name(
    utf8_relay: RelayProcess, body: str, expected: list[str]
) -> None:
    response = utf8_relay.put("/metrics/job/x", body)
    assert (response.status, response.text) == (200, "")
    assert lines_of(pushed(utf8_relay.page(ALLOW_UTF8))) == sorted(expected)


@pytest.mark.parametrize("body", REFUSED.values(), ids=REFUSED)
def test_text_with_other_names_is_refused(
    utf8_relay: RelayProcess, body: bytes | str
) -> None:
    assert utf8_relay.put("/metrics/job/x", body).status == 400
    assert utf8_relay.groups() == []


def test_help_of_a_quoted_name_is_kept(utf8_relay: RelayProcess) -> None:
    body = '# HELP "a.b" Text.\n# TYPE "a.b" gauge\n{"a.b"} 1\n'
    assert utf8_relay.put("/metrics/job/x", body).status == 200
    assert block(utf8_relay.page(ALLOW_UTF8), "a.b").splitlines() == [
        '# HELP "a.b" Text.',
        '# TYPE "a.b" gauge',
        '{"a.b",instance="",job="x"} 1',
    ]
    assert block(utf8_relay.page(), "a_b").splitlines() == [
        "# HELP a_b Text.",
        "# TYPE a_b gauge",
        'a_b{instance="",job="x"} 1',
    ]


def test_the_query_api_shows_names_as_they_are(utf8_relay: RelayProcess) -> None:
    utf8_relay.put("/metrics/job/x/l.m/v", '{"a.b"} 1\n')
    group = utf8_relay.group(**{"job": "x", "l.m": "v"})
    assert group is not None
    assert group["a.b"]["metrics"][0]["labels"] == {
        "instance": "",
        "job": "x",
        "l.m": "v",
    }


def test_types_clash_under_any_name(utf8_relay: RelayProcess) -> None:
    utf8_relay.put("/metrics/job/x", '# TYPE "a.b" gauge\n{"a.b"} 1\n')
    body = '# TYPE "a.b" counter\n{"a.b"} 1\n'
    assert utf8_relay.put("/metrics/job/y", body).status == 400


def test_without_the_flag_an_escaped_name_is_a_name(relay: HTTPClient) -> None:
    assert relay.put("/metrics/job/x/U__foo_2e_bar/v", "a 1\n").status == 200
    assert relay.grouping_keys() == [{"job": "x", "U__foo_2e_bar": "v"}]
