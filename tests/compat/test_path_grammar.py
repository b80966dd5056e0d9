"""The grouping key in the URL of a push: what is taken, and what is refused how."""

from __future__ import annotations

import itertools

import pytest
from relay_process import HTTPClient

IMPROPER = 'improper label name "{}"\n'
ODD = 'odd number of components in label string "{}"\n'
BAD_VALUE = (
    'invalid base64 encoding for label {}="{}": illegal base64 data at input byte {}\n'
)
BAD_JOB = (
    'invalid base64 encoding in job name "{}": illegal base64 data at input byte {}\n'
)

# What follows /metrics/, and the grouping key that it names.
KEYS: list[tuple[str, dict[str, str]]] = [
    ("job/x", {"job": "x"}),
    ("job/x/", {"job": "x"}),
    ("job/x/l/v", {"job": "x", "l": "v"}),
    ("job/x/a/1/b/2/c/3", {"job": "x", "a": "1", "b": "2", "c": "3"}),
    ("job/x/l/", {"job": "x", "l": ""}),
    ("job/x/a/1/l/", {"job": "x", "a": "1", "l": ""}),
    ("job/x/instance/", {"job": "x", "instance": ""}),
    ("job/x/instance/i", {"job": "x", "instance": "i"}),
    # names
    ("job/x/_/v", {"job": "x", "_": "v"}),
    ("job/x/_x/v", {"job": "x", "_x": "v"}),
    ("job/x/le/1", {"job": "x", "le": "1"}),
    ("job/x/quantile/0.5", {"job": "x", "quantile": "0.5"}),
    ("job/x/Upper_9/v", {"job": "x", "Upper_9": "v"}),
    ("job/x/U__foo_2e_bar/v", {"job": "x", "U__foo_2e_bar": "v"}),
    # decoding
    ("job/a+b", {"job": "a+b"}),
    ("job/a%20b", {"job": "a b"}),
    ("job/a%2520b", {"job": "a%20b"}),
    ("job/%C3%BC%E6%97%A5%F0%9F%9A%80", {"job": "ü日🚀"}),
    ("job/%22%5C%0A", {"job": '"\\\n'}),
    ("job/x/l/a=b&c;d,e:f@g!h*i(j)'$~", {"job": "x", "l": "a=b&c;d,e:f@g!h*i(j)'$~"}),
    ("job/x/l/%3F%23%26", {"job": "x", "l": "?#&"}),
    ("job%2Fx", {"job": "x"}),
    ("job/x/l%2Fv", {"job": "x", "l": "v"}),
    ("job/x/path/a%2Fbc%2F", {"job": "x", "path": "a", "bc": ""}),
    ("job/x/a%2F%2Fb/c", {"job": "x", "a": "", "b": "c"}),
    ("job/x/path/%2Fvar%2Ftmp", {"job": "x", "path": "", "var": "tmp"}),
    ("job/x/path/%2e%2e", {"job": "x", "path": ".."}),
    ("job/x/path/%2E", {"job": "x", "path": "."}),
    ("job/x/%6C/%76", {"job": "x", "l": "v"}),
    ("job/%00", {"job": "\0"}),
    # base64
    ("job@base64/eA", {"job": "x"}),
    ("job@base64/eA==", {"job": "x"}),
    ("job%40base64/eA", {"job": "x"}),
    ("job@base64/eA/", {"job": "x"}),
    ("job@base64/ZXRsL25pZ2h0bHk", {"job": "etl/nightly"}),
    ("job@base64/eA/l/v", {"job": "x", "l": "v"}),
    ("job/x/l@base64/YS9i", {"job": "x", "l": "a/b"}),
    ("job/x/l%40base64/YS9i", {"job": "x", "l": "a/b"}),
    ("job/x/l@base64/YQ", {"job": "x", "l": "a"}),
    ("job/x/l@base64/YQ=", {"job": "x", "l": "a"}),
    ("job/x/l@base64/YQ==", {"job": "x", "l": "a"}),
    ("job/x/l@base64/YQ=====", {"job": "x", "l": "a"}),
    ("job/x/l@base64/YWI=", {"job": "x", "l": "ab"}),
    ("job/x/l@base64/YR", {"job": "x", "l": "a"}),
    ("job/x/l@base64/Y%0AQ%0D", {"job": "x", "l": "a"}),
    ("job/x/l@base64/Lz8_Pz4-Pi8", {"job": "x", "l": "/???>>>/"}),
    ("job/x/l@base64/w7w", {"job": "x", "l": "ü"}),
    ("job/x/l@base64/=", {"job": "x", "l": ""}),
    ("job/x/l@base64/===", {"job": "x", "l": ""}),
    ("job/x/l@base64/", {"job": "x", "l": ""}),
    ("job/x/l@base64/AA", {"job": "x", "l": "\0"}),
    ("job/x/a@base64/YQ/b/2/c@base64/=", {"job": "x", "a": "a", "b": "2", "c": ""}),
    # repetition
    ("job/x/l/1/l/2", {"job": "x", "l": "2"}),
    ("job/x/l/1/l@base64/Mg", {"job": "x", "l": "2"}),
    ("job/x/job/y", {"job": "x"}),
    ("job/x/job@base64/eQ/l/v", {"job": "x", "l": "v"}),
]

# What follows /metrics/, and the text of the 400.
REFUSED: list[tuple[str, str]] = [
    ("job/x/l", ODD.format("/l")),
    ("job/x/l/v/", ODD.format("/l/v/")),
    ("job/x/a/1/b", ODD.format("/a/1/b")),
    ("job/a%2Fb", ODD.format("/b")),
    ("job/x/q/say%20%22hi%22%20/%20b", ODD.format(r"/q/say \"hi\" / b")),
    ("job/x/%0A", ODD.format(r"/\n")),
    ("job@base64/eA/l", ODD.format("/l")),
    ("job/x/0l/v", IMPROPER.format("0l")),
    ("job/x/my-label/v", IMPROPER.format("my-label")),
    ("job/x/my.label/v", IMPROPER.format("my.label")),
    ("job/x/a%20b/v", IMPROPER.format("a b")),
    ("job/x/%C3%BC/v", IMPROPER.format("ü")),
    ("job/x/a:b/v", IMPROPER.format("a:b")),
    ("job/x/__x/v", IMPROPER.format("__x")),
    ("job/x/__name__/v", IMPROPER.format("__name__")),
    ("job/x/__x@base64/dg", IMPROPER.format("__x")),
    ("job/x/@base64/YQ", IMPROPER.format("")),
    ("job/x/l@base64@base64/YQ", IMPROPER.format("l@base64")),
    ("job/x/l@base32/ME", IMPROPER.format("l@base32")),
    ("job/x/l@BASE64/YQ", IMPROPER.format("l@BASE64")),
    ("job/x/l@/v", IMPROPER.format("l@")),
    ("job/x/a/1/%2F/v", ODD.format("/a/1///v")),
    ("job/x/path/%2F%3F%3E%2F", IMPROPER.format("?>")),
    ("job/x/l@base64/!!!", BAD_VALUE.format("l", "!!!", 0)),
    ("job/x/l@base64/YQ=a", BAD_VALUE.format("l", "YQ=a", 2)),
    ("job/x/l@base64/YS+i", BAD_VALUE.format("l", "YS+i", 2)),
    ("job/x/l@base64/Y", BAD_VALUE.format("l", "Y", 0)),
    ("job/x/l@base64/YWJjZ", BAD_VALUE.format("l", "YWJjZ", 4)),
    ("job/x/l@base64/Y%0A!", BAD_VALUE.format("l", r"Y\n!", 2)),
    ("job/x/l@base64/Y%20Q", BAD_VALUE.format("l", "Y Q", 1)),
    ("job@base64/!", BAD_JOB.format("", 0)),
    ("job@base64/YWJj!", BAD_JOB.format("abc", 4)),
    ("job@base64/YWJjZGU!", BAD_JOB.format("abc", 7)),
    ("job@base64/YWJjZ", BAD_JOB.format("abc", 4)),
    ("job@base64/YQ=a", BAD_JOB.format("", 2)),
    ("job@base64/=", "job name is required\n"),
    ("job@base64/===", "job name is required\n"),
    ("job@base64/=/l/v", "job name is required\n"),
    # the first error from left to right wins, and an empty job is looked at last
    ("job/x/0a/1/b@base64/!", IMPROPER.format("0a")),
    ("job/x/b@base64/!/0a/1", BAD_VALUE.format("b", "!", 0)),
    ("job/x/0b@base64/!", IMPROPER.format("0b")),
    ("job/x/0a/1/b", ODD.format("/0a/1/b")),
    ("job@base64/!/0a/1", BAD_JOB.format("", 0)),
    ("job@base64/=/0a/1", IMPROPER.format("0a")),
    ("job@base64/=/odd", ODD.format("/odd")),
]

# Each row spells one group in several ways.
SAME_GROUP = [
    ["job/x/a/1/b/2", "job/x/b/2/a/1", "job@base64/eA/b@base64/Mg==/a@base64/MQ"],
    ["job/x", "job/x/", "job@base64/eA", "job@base64/eA==", "job/%78", "job/x/job/y"],
    ["job/x/l/", "job/x/l@base64/=", "job/x/l@base64/", "job/x/l/1/l/"],
]

DISTINCT_GROUPS = [
    "job/x",
    "job/X",
    "job/x/l/",
    "job/x/l/v",
    "job/x/m/v",
    "job/x/l/v/m/v",
    "job/v/l/x",
    "job/x/l/v%20",
]

# Bytes that are no UTF-8 name no group, whatever else is in the store.
NOT_UTF8 = [
    "job/%ff",
    "job/x/l/%ff",
    "job/x/l/a%C3",
    "job/x/l/%ED%A0%80",
    "job/x/l@base64/_w",
    "job@base64/_w",
    "job/x/l@base64/__79",
]


@pytest.mark.parametrize(("path", "labels"), KEYS)
def test_a_path_names_a_group(
    relay: HTTPClient, path: str, labels: dict[str, str]
) -> None:
    response = relay.put(f"/metrics/{path}", "a 1\n")
    assert (response.status, response.text) == (200, "")
    assert relay.grouping_keys() == [labels]
    assert relay.delete(f"/metrics/{path}").status == 202
    assert relay.groups() == []


@pytest.mark.parametrize(("path", "text"), REFUSED)
@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE"])
def test_a_bad_path_is_refused_and_leaves_no_trace(
    relay: HTTPClient, method: str, path: str, text: str
) -> None:
    response = relay.request(method, f"/metrics/{path}", "a 1\n")
    assert (response.status, response.text) == (400, text)
    assert relay.groups() == []


@pytest.mark.parametrize("paths", SAME_GROUP)
def test_spellings_of_one_group_share_it(relay: HTTPClient, paths: list[str]) -> None:
    for path in paths:
        assert relay.put(f"/metrics/{path}", "a 1\n").status == 200
    assert len(relay.groups()) == 1


@pytest.mark.parametrize(("pushed", "deleted"), list(itertools.pairwise(SAME_GROUP[0])))
def test_a_group_is_deleted_by_any_spelling(
    relay: HTTPClient, pushed: str, deleted: str
) -> None:
    relay.put(f"/metrics/{pushed}", "a 1\n")
    assert relay.delete(f"/metrics/{deleted}").status == 202
    assert relay.groups() == []


def test_keys_that_differ_in_anything_are_different_groups(relay: HTTPClient) -> None:
    for path in DISTINCT_GROUPS:
        assert relay.put(f"/metrics/{path}", "a 1\n").status == 200
    assert len(relay.groups()) == len(DISTINCT_GROUPS)


def test_a_repeated_name_counts_with_its_last_value(relay: HTTPClient) -> None:
    relay.put("/metrics/job/x/l/1", "a 1\n")
    relay.put("/metrics/job/x/l/2", "a 2\n")
    assert relay.delete("/metrics/job/x/l/1/l/2").status == 202
    assert relay.grouping_keys() == [{"job": "x", "l": "1"}]


@pytest.mark.parametrize("path", NOT_UTF8)
def test_a_key_that_is_not_utf8_poisons_nothing(relay: HTTPClient, path: str) -> None:
    assert relay.put(f"/metrics/{path}", "a 1\n").status == 400
    assert relay.groups() == []
    assert relay.put("/metrics/job/other", "a 1\n").status == 200
    assert relay.get("/metrics").status == 200


@pytest.mark.parametrize("path", NOT_UTF8)
def test_a_key_that_is_not_utf8_can_be_deleted_in_vain(
    relay: HTTPClient, path: str
) -> None:
    assert relay.delete(f"/metrics/{path}").status in (202, 400)
    assert relay.get("/metrics").status == 200


def test_grouping_labels_are_limited_as_others_are(relay: HTTPClient) -> None:
    long = relay.put("/metrics/job/x/l/" + "v" * 70_000, "a 1\n")
    many = relay.put("/metrics/job/x" + "".join(f"/l{n}/v" for n in range(300)))
    assert (long.status, many.status) == (400, 400)
    assert "limit of 65536 bytes" in long.text
    assert "there are 301 labels; the limit is 256" in many.text
    assert relay.groups() == []
