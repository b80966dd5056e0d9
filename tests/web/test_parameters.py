from __future__ import annotations

from enum import Enum
from urllib.parse import urlencode

import pytest

from pushrelay.errors import InvalidRequest
from pushrelay.shards import Shard
from pushrelay.web.parameters import MOST_MATCHERS, MOST_PARAMETERS, Parameters


def test_values_are_decoded_and_keep_their_order() -> None:
    parameters = Parameters("a=1&b=x%20y+z&a=%C3%A9&c")
    assert parameters.all("a") == ["1", "é"]
    assert parameters.one("b") == "x y z"
    assert parameters.one("c") == ""
    assert parameters.one("d") is None


def test_what_is_given_twice_and_means_one_thing_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="mode is given more than once"):
        Parameters("mode=add&mode=add").one("mode")


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("", False),
        ("dry_run", True),
        ("dry_run=1", True),
        ("dry_run=true", True),
        ("dry_run=0", False),
        ("dry_run=false", False),
    ],
)
def test_flags_are_on_or_off(query: str, value: bool) -> None:
    assert Parameters(query).flag("dry_run") is value


def test_a_flag_that_is_neither_is_refused() -> None:
    with pytest.raises(InvalidRequest, match='dry_run is "yes"; write 1'):
        Parameters("dry_run=yes").flag("dry_run")


def test_durations_are_nanoseconds() -> None:
    assert Parameters("older_than=1h30m").duration("older_than") == 5400 * 10**9
    assert Parameters("").duration("older_than") is None
    with pytest.raises(InvalidRequest, match="soon"):
        Parameters("older_than=soon").duration("older_than")


@pytest.mark.parametrize(
    ("query", "shard"),
    [
        ("", None),
        ("shard=0&shards=1", Shard(0, 1)),
        ("shards=4&shard=3", Shard(3, 4)),
        ("shard=999&shards=1000", Shard(999, 1000)),
    ],
)
def test_a_shard_is_named_by_its_number_and_how_many_there_are(
    query: str, shard: Shard | None
) -> None:
    assert Parameters(query).shard() == shard


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("shard=1", "go together: write shard=0&shards=4 for the first"),
        ("shards=4", "go together: write shard=0&shards=4 for the first"),
        ("shard=0&shards=0", 'shards is "0"; write a whole number from 1 to 1000$'),
        ("shard=0&shards=1001", 'is "1001"; write a whole number from 1 to 1000$'),
        ("shard=0&shards=two", 'is "two"; write a whole number from 1 to 1000$'),
        ("shard=4&shards=4", 'shard is "4"; write a whole number from 0 to 3$'),
        ("shard=-1&shards=4", 'shard is "-1"; write a whole number from 0 to 3$'),
        ("shard=&shards=4", 'shard is ""; write a whole number from 0 to 3$'),
        ("shard=1000", 'is "1000"; write a whole number from 0 to 999$'),
        ("shard=0&shard=1&shards=4", "shard is given more than once"),
        ("shard=0&shards=4&shards=4", "shards is given more than once"),
    ],
)
def test_what_names_no_shard_is_refused(query: str, told: str) -> None:
    with pytest.raises(InvalidRequest, match=told):
        Parameters(query).shard()


def test_selectors_are_all_values_of_match() -> None:
    query = "match[]=%7Bjob%3D%22a%22%7D&match%5B%5D=%7Bjob%3D~%22b.*%22%7D"
    selectors = Parameters(query).selectors()
    assert list(map(str, selectors)) == ['{job="a"}', '{job=~"b.*"}']


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="more than"):
        Parameters("&".join(["a=1"] * (MOST_PARAMETERS + 1)))


@pytest.mark.parametrize("of_series", [False, True])
def test_matchers_that_lost_their_braces_are_refused(of_series: bool) -> None:
    # What curl makes of {job="x",instance="y"}, and of rows{table!="old"}.
    for written in ('job="x"', 'rowstable!="old"'):
        with pytest.raises(InvalidRequest, match="matchers stand in braces here"):
            Parameters(urlencode({"match[]": written})).selectors(of_series=of_series)


def test_durations_say_whose_they_are() -> None:
    with pytest.raises(InvalidRequest, match='the parameter older_than: "4"'):
        Parameters("older_than=4").duration("older_than")


def test_too_many_matchers_are_refused_however_they_are_spread() -> None:
    selector = "{" + 'a="b",' * 10 + "}"
    most = urlencode({"match[]": [selector] * (MOST_MATCHERS // 10)}, doseq=True)
    assert len(Parameters(most).selectors()) == MOST_MATCHERS // 10
    with pytest.raises(InvalidRequest, match="more than 100 matchers in all"):
        Parameters(most + "&match[]={a='b'}").selectors()


def test_numbers_have_bounds() -> None:
    assert Parameters("limit=1").number("limit", 10) == 1
    assert Parameters("limit=010").number("limit", 10) == 10
    assert Parameters("").number("limit", 10) is None


@pytest.mark.parametrize("value", ["", "0", "11", "-1", "+1", "1.0", "1_0", "٣", " 1"])
def test_what_is_no_such_number_is_refused(value: str) -> None:
    query = urlencode({"limit": value})
    with pytest.raises(InvalidRequest, match="write a whole number from 1 to 10"):
        Parameters(query).number("limit", 10)


class Colour(Enum):
    RED = "red"
    GREEN = "green"


def test_choices_are_named_by_their_values() -> None:
    assert Parameters("colour=red").choice("colour", Colour) is Colour.RED
    assert Parameters("").choice("colour", Colour) is None
    for wrong in ("blue", "RED", ""):
        with pytest.raises(InvalidRequest, match=f'"{wrong}"; write red or green'):
            Parameters(f"colour={wrong}").choice("colour", Colour)


def test_parameters_that_are_not_known_can_be_refused() -> None:
    Parameters("a=1&a=2").require_known("a", "b")
    with pytest.raises(InvalidRequest, match=r'"c"; what can be given here is a, b$'):
        Parameters("a=1&c=2").require_known("a", "b")
