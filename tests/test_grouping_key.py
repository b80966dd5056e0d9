"""The grouping key as a value: parsing a path, writing one, and what identifies it."""

from __future__ import annotations

import re
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pushrelay.errors import InvalidGroupingKey
from pushrelay.grouping_key import GroupingKey, parse_labels, parse_path

# What follows /metrics/, decoded, and the labels that it names.
KEYS: list[tuple[str, dict[str, str]]] = [
    ("job/x", {"job": "x"}),
    ("job/x/", {"job": "x"}),
    ("job/x/l/v", {"job": "x", "l": "v"}),
    ("job/x/l/", {"job": "x", "l": ""}),
    ("job/x/a//b/c", {"job": "x", "a": "", "b": "c"}),
    ("job/x/l/1/l/2", {"job": "x", "l": "2"}),
    ("job/x/job/y", {"job": "x"}),
    ("job/x/_x/v/le/1/quantile/2", {"job": "x", "_x": "v", "le": "1", "quantile": "2"}),
    ("job/x/U__a_2e_b/v", {"job": "x", "U__a_2e_b": "v"}),
    ("job/ü 🚀\0", {"job": "ü 🚀\0"}),
    ("job@base64/eA", {"job": "x"}),
    ("job@base64/eA==", {"job": "x"}),
    ("job/x/l@base64/YS9i", {"job": "x", "l": "a/b"}),
    ("job/x/l@base64/YQ=====", {"job": "x", "l": "a"}),
    ("job/x/l@base64/YR", {"job": "x", "l": "a"}),
    ("job/x/l@base64/Y\r\nQ", {"job": "x", "l": "a"}),
    ("job/x/l@base64/Lz8_Pz4-Pi8", {"job": "x", "l": "/???>>>/"}),
    ("job/x/l@base64/=", {"job": "x", "l": ""}),
    ("job/x/l@base64/", {"job": "x", "l": ""}),
]

REFUSED = [
    ("job/x/l", 'odd number of components in label string "/l"'),
    ("job/x/l/v/", 'odd number of components in label string "/l/v/"'),
    ('job/x/"\n', r'odd number of components in label string "/\"\n"'),
    ("job/x/0l/v", 'improper label name "0l"'),
    ("job/x/my-label/v", 'improper label name "my-label"'),
    ("job/x/ü/v", 'improper label name "ü"'),
    ("job/x/__x/v", 'improper label name "__x"'),
    ("job/x/@base64/YQ", 'improper label name ""'),
    ("job/x//v", 'improper label name ""'),
    ("job/x/l@base64@base64/YQ", 'improper label name "l@base64"'),
    ("job/x/l@base32/ME", 'improper label name "l@base32"'),
    (
        "job/x/l@base64/YQ=a",
        'invalid base64 encoding for label l="YQ=a": '
        "illegal base64 data at input byte 2",
    ),
    (
        "job/x/l@base64/YWJjZ",
        'invalid base64 encoding for label l="YWJjZ": '
        "illegal base64 data at input byte 4",
    ),
    (
        "job/x/l@base64/a+/b",
        'odd number of components in label string "/l@base64/a+/b"',
    ),
    (
        "job/x/l@base64/ab+c",
        'invalid base64 encoding for label l="ab+c": '
        "illegal base64 data at input byte 2",
    ),
    (
        "job/x/l@base64/ü",
        'invalid base64 encoding for label l="ü": illegal base64 data at input byte 0',
    ),
    (
        "job/x/l@base64/Y\n!",
        r'invalid base64 encoding for label l="Y\n!": '
        "illegal base64 data at input byte 2",
    ),
    (
        "job@base64/YWJjZGU!",
        'invalid base64 encoding in job name "abc": '
        "illegal base64 data at input byte 7",
    ),
    ("job@base64/=", "job name is required"),
    ("job@base64/=/0l/v", 'improper label name "0l"'),
    (
        "job@base64/!/0l/v",
        'invalid base64 encoding in job name "": illegal base64 data at input byte 0',
    ),
    ("job/x/0a/1/b@base64/!", 'improper label name "0a"'),
    ("job/x/0b@base64/!", 'improper label name "0b"'),
]

NOT_UTF8 = ["job/%ff", "job/x/l/%ff", "job/x/l@base64/_w", "job@base64/_w"]

# A label name in the path, and what it stands for where UTF-8 names are allowed.
UTF8_NAMES = {
    "foo.bar": "foo.bar",
    "ü b": "ü b",
    "U__foo_2e_bar": "foo.bar",
    "U__foo_2E_bar": "foo.bar",
    "U__foo_2e_bar@base64": "foo.bar",
    "U__a__b": "a_b",
    "U___55_____": "U__",
    "U____x": "_x",
    "U__a_1f600_": "a😀",
    "U__a_zz_": "U__a_zz_",
    "U__a_2e": "U__a_2e",
    "U__a_": "U__a_",
    "U__a_000002e_": "U__a_000002e_",
    "U__a_d800_": "U__a_d800_",
    "U__a_110000_": "U__a_110000_",
}

IMPROPER_UTF8_NAMES = ["", "__x", "U__", "U___5f__5f_name", "U___5f___name__"]

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
LABEL_NAMES = st.from_regex(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]{0,8}", fullmatch=True)
LABELS = st.builds(
    lambda job, others: {**others, "job": job},
    TEXT.filter(bool),
    st.dictionaries(LABEL_NAMES, TEXT, max_size=4),
)
UTF8_LABELS = st.builds(
    lambda job, others: {**others, "job": job},
    TEXT.filter(bool),
    st.dictionaries(
        # `__x` is reserved, and `U__x` would stand for another name
        TEXT.filter(lambda name: name and not name.startswith(("__", "U__"))),
        TEXT,
        max_size=4,
    ),
)


@pytest.mark.parametrize(("path", "labels"), KEYS)
def test_a_path_names_labels(path: str, labels: dict[str, str]) -> None:
    assert dict(parse_path(path).labels) == labels


@pytest.mark.parametrize(("path", "message"), REFUSED)
def test_a_bad_path_is_refused_with_a_reason(path: str, message: str) -> None:
    with pytest.raises(InvalidGroupingKey) as refused:
        parse_path(path)
    assert str(refused.value) == message


@pytest.mark.parametrize("path", NOT_UTF8)
@pytest.mark.parametrize("utf8_names", [False, True])
def test_a_path_that_is_not_utf8_is_refused(path: str, utf8_names: bool) -> None:
    with pytest.raises(InvalidGroupingKey, match="UTF-8"):
        parse_path(unquote(path, errors="surrogateescape"), utf8_names=utf8_names)


@pytest.mark.parametrize(("written", "name"), UTF8_NAMES.items())
def test_a_utf8_name_is_taken_or_unescaped(written: str, name: str) -> None:
    value = "dg" if written.endswith("@base64") else "v"
    key = parse_path(f"job/x/{written}/{value}", utf8_names=True)
    assert dict(key.labels) == {"job": "x", name: "v"}


@pytest.mark.parametrize("written", IMPROPER_UTF8_NAMES)
def test_an_improper_utf8_name_is_refused(written: str) -> None:
    with pytest.raises(InvalidGroupingKey, match="improper label name"):
        parse_path(f"job/x/{written}@base64/dg", utf8_names=True)


def test_the_job_comes_first_and_the_others_are_sorted() -> None:
    key = parse_path("job/x/b/2/a/1/Z/3")
    assert key.names == ("job", "Z", "a", "b")


def test_spellings_of_one_key_are_equal() -> None:
    spellings = ["job/x/a/1/b/2", "job/x/b/2/a/1", "job@base64/eA==/b@base64/Mg/a/1"]
    assert len({parse_path(path) for path in spellings}) == 1


@pytest.mark.parametrize(
    ("labels", "path"),
    [
        ({"job": "x"}, "job/x"),
        ({"job": "x", "b": "2", "a": "1"}, "job/x/a/1/b/2"),
        ({"job": "x", "l": ""}, "job/x/l@base64/="),
        ({"job": "a/b"}, "job@base64/YS9i"),
        ({"job": "a b", "l": "ü"}, "job/a%20b/l/%C3%BC"),
        ({"job": ".", "l": ".."}, "job@base64/Lg/l@base64/Li4"),
        ({"job": "x", "a/b_c": "1"}, "job/x/U__a_2f_b__c/1"),
    ],
)
def test_a_key_is_written_as_a_path(labels: dict[str, str], path: str) -> None:
    assert GroupingKey.of(labels).path == path


@given(LABELS)
@example({"job": ".."})
@example({"job": "x", "l": "."})
def test_a_written_path_is_read_back(labels: dict[str, str]) -> None:
    key = GroupingKey.of(labels)
    assert parse_path(unquote(key.path)) == key
    assert not {".", "..", ""} & set(key.path.split("/"))


@given(UTF8_LABELS)
@example({"job": "x", "a/b": "1", ".": "2", "l@base64": "3"})
def test_a_written_path_with_utf8_names_is_read_back(labels: dict[str, str]) -> None:
    key = GroupingKey.of(labels)
    assert parse_path(unquote(key.path), utf8_names=True) == key


@given(LABELS)
def test_labels_that_a_path_can_name_are_a_key(labels: dict[str, str]) -> None:
    assert parse_labels(labels) == GroupingKey.of(labels)


@given(UTF8_LABELS)
def test_labels_may_have_utf8_names(labels: dict[str, str]) -> None:
    assert parse_labels(labels, utf8_names=True) == GroupingKey.of(labels)


@pytest.mark.parametrize("utf8_names", [True, False])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ({}, "job name is required"),
        ({"l": "v"}, "job name is required"),
        ({"job": ""}, "job name is required"),
        ({"job": "x", "": "v"}, 'improper label name ""'),
        ({"job": "x", "__l": "v"}, 'improper label name "__l"'),
        ({"job": "x", "l": "\udcff"}, r'"l" is not valid UTF-8: "\xff"'),
    ],
)
def test_labels_that_no_path_can_name_are_refused(
    labels: dict[str, str], message: str, utf8_names: bool
) -> None:
    with pytest.raises(InvalidGroupingKey, match=re.escape(message)):
        parse_labels(labels, utf8_names=utf8_names)


def test_names_beyond_the_legacy_ones_are_labels_only_where_they_may_be() -> None:
    with pytest.raises(InvalidGroupingKey, match=r'improper label name "a\.b"'):
        parse_labels({"job": "x", "a.b": "v"})


@given(LABELS | UTF8_LABELS)
def test_the_canonical_form_is_read_back(labels: dict[str, str]) -> None:
    key = GroupingKey.of(labels)
    assert GroupingKey.from_canonical(key.canonical) == key
    assert dict(key.labels) == labels


@given(LABELS | UTF8_LABELS, LABEL_NAMES)
@example({"job": "instance", "xinstance": "instance"}, "instance")
@example({"job": "a", "instance": ""}, "instance")
def test_a_label_that_is_not_there_is_empty(labels: dict[str, str], name: str) -> None:
    key = GroupingKey.of(labels)
    others = {name, *labels} - {"job"}
    values = {name: key.value_of(name) for name in others}
    assert values == {name: labels.get(name, "") for name in others}


@given(LABELS, LABELS)
@example({"job": "a", "b": "c"}, {"job": "ab", "": "c"})
@example({"job": "x"}, {"job": "x", "instance": ""})
def test_different_labels_have_different_ids(
    one: dict[str, str], other: dict[str, str]
) -> None:
    same = GroupingKey.of(one).id == GroupingKey.of(other).id
    assert same is (one == other)


@given(st.text(max_size=40), st.booleans())
def test_no_path_breaks_the_parser(path: str, utf8_names: bool) -> None:
    try:
        key = parse_path(f"job{path}", utf8_names=utf8_names)
    except InvalidGroupingKey:
        return
    assert dict(key.labels)["job"]
