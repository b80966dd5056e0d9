from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.exposition.escaping import (
    Escaping,
    escape_label_name,
    escape_metric_name,
)
from pushrelay.grouping_key import parse_path
from pushrelay.model import is_legacy_label_name, is_legacy_metric_name

U, D, V = Escaping.UNDERSCORES, Escaping.DOTS, Escaping.VALUES

METRIC_NAMES = {
    # name: (underscores, dots, values)
    "http_requests_total": ("http_requests_total",) * 3,
    "job:errors:rate5m": ("job:errors:rate5m",) * 3,
    "my.name": ("my_name", "my_dot_name", "U__my_2e_name"),
    "my.name_x": ("my_name_x", "my_dot_name__x", "U__my_2e_name__x"),
    "a b": ("a_b", "a__b", "U__a_20_b"),
    "a:b c": ("a:b_c", "a:b__c", "U__a:b_20_c"),
    "1st": ("_st", "__st", "U___31_st"),
    "a1.2": ("a1_2", "a1_dot_2", "U__a1_2e_2"),
    "größe": ("gr__e", "gr____e", "U__gr_f6__df_e"),
    "a.\U0001f600": ("a__", "a_dot___", "U__a_2e__1f600_"),
    "_.": ("__", "___dot_", "U_____2e_"),
    "a\nb": ("a_b", "a__b", "U__a_a_b"),
    "a\n": ("a_", "a__", "U__a_a_"),
    "a\udcffb": ("a_b", "a__b", "U__a_FFFD_b"),
    "": ("", "", ""),
}


@pytest.mark.parametrize("name", METRIC_NAMES)
def test_metric_names_are_escaped_as_the_scheme_says(name: str) -> None:
    escaped = tuple(escape_metric_name(name, scheme) for scheme in (U, D, V))

    assert escaped == METRIC_NAMES[name]


@pytest.mark.parametrize(
    ("name", "escaped"),
    [
        ("shard", ("shard", "shard", "shard")),
        ("a:b", ("a_b", "a__b", "U__a_3a_b")),
        ("service.name", ("service_name", "service_dot_name", "U__service_2e_name")),
        ("__x", ("__x", "__x", "__x")),
    ],
)
def test_a_colon_is_escaped_in_label_names(
    name: str, escaped: tuple[str, str, str]
) -> None:
    assert tuple(escape_label_name(name, scheme) for scheme in (U, D, V)) == escaped


@given(st.text())
def test_allow_utf_8_changes_nothing(name: str) -> None:
    assert escape_metric_name(name, Escaping.ALLOW_UTF8) == name
    assert escape_label_name(name, Escaping.ALLOW_UTF8) == name


@given(st.text(min_size=1), st.sampled_from([U, D, V]))
def test_escaped_names_are_legacy_names(name: str, scheme: Escaping) -> None:
    assert is_legacy_metric_name(escape_metric_name(name, scheme))
    assert is_legacy_label_name(escape_label_name(name, scheme))


@given(st.from_regex(r"[a-zA-Z_:][a-zA-Z0-9_:]*", fullmatch=True))
def test_legacy_names_stay_as_they_are(name: str) -> None:
    assert {escape_metric_name(name, scheme) for scheme in Escaping} == {name}


@given(st.text(min_size=1).filter(lambda name: not name.startswith(("__", "U__"))))
def test_what_values_escapes_can_be_read_back(name: str) -> None:
    escaped = escape_label_name(name, Escaping.VALUES)

    key = parse_path(f"job/batch/{escaped}/x", utf8_names=True)

    assert dict.fromkeys(key.names) == dict.fromkeys(["job", name])


def test_long_names_are_escaped_like_short_ones() -> None:
    assert escape_metric_name("a." * 1000, Escaping.DOTS) == "a_dot_" * 1000
