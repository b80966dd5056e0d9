from __future__ import annotations

import pytest

from pushrelay.errors import InvalidRequest
from pushrelay.web.parameters import MOST_PARAMETERS, Parameters


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


def test_selectors_are_all_values_of_match() -> None:
    query = "match[]=%7Bjob%3D%22a%22%7D&match%5B%5D=%7Bjob%3D~%22b.*%22%7D"
    selectors = Parameters(query).selectors()
    assert list(map(str, selectors)) == ['{job="a"}', '{job=~"b.*"}']


def test_too_many_parameters_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="more than"):
        Parameters("&".join(["a=1"] * (MOST_PARAMETERS + 1)))
