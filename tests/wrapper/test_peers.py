from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pushrelay.grouping_key import GroupingKey
from pushrelay.wrapper.peers import Peer, parse_numbers

URL = "http://gateway:9091"
DAY = 24 * 3600
KEY = GroupingKey.of({"job": "a"})


class Seconds:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1795378900.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def seconds() -> Seconds:
    return Seconds()


@pytest.fixture
def peer(tmp_path: Path, seconds: Seconds) -> Callable[..., Peer]:
    """Make what a process knows of a server."""
    state = str(tmp_path / "state")
    return lambda url=URL: Peer(url, [state], seconds)


def test_a_pushgateway_is_known_for_a_day(
    peer: Callable[..., Peer], seconds: Seconds
) -> None:
    assert not peer().is_pushgateway()
    peer().note_pushgateway()
    assert peer().is_pushgateway()
    assert not peer("http://other:9091").is_pushgateway()
    seconds.now += DAY - 1
    assert peer().is_pushgateway()
    seconds.now += 1
    assert not peer().is_pushgateway()


def test_its_day_does_not_begin_again_with_each_push(
    peer: Callable[..., Peer], seconds: Seconds
) -> None:
    peer().note_pushgateway()
    seconds.now += DAY - 1
    known = peer()
    assert known.is_pushgateway()
    known.note_pushgateway()
    seconds.now += 1
    assert not peer().is_pushgateway()


def test_a_time_to_come_is_not_believed(
    peer: Callable[..., Peer], seconds: Seconds
) -> None:
    peer().note_pushgateway()
    seconds.now -= 1
    assert not peer().is_pushgateway()


def test_what_is_forgotten_is_not_known(peer: Callable[..., Peer]) -> None:
    known = peer()
    known.note_pushgateway()
    known.forget()
    assert not known.is_pushgateway()
    assert not peer().is_pushgateway()
    peer().forget()


def test_times_are_those_of_a_group(peer: Callable[..., Peer]) -> None:
    assert peer().times(KEY) == {}
    peer().note_times(KEY, {"a": 1795378800.25, "b": 2})
    assert peer().times(KEY) == {"a": 1795378800.25, "b": 2}
    assert peer().times(GroupingKey.of({"job": "b"})) == {}
    assert peer("http://other:9091").times(KEY) == {}


def test_without_a_directory_it_is_known_for_as_long_as_it_lives(
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    for directories in ([], [str(tmp_path / "file" / "state")]):
        known = Peer(URL, directories)
        known.note_pushgateway()
        assert known.is_pushgateway()
        known.note_times(KEY, {"a": 1})
        assert known.times(KEY) == {}
        known.forget()
        assert not known.is_pushgateway()


def test_times_of_groups_that_are_long_gone_are_removed(
    peer: Callable[..., Peer], tmp_path: Path, seconds: Seconds
) -> None:
    peer().note_times(KEY, {"a": 1})
    [file] = (tmp_path / "state" / "peers").iterdir()
    os.utime(file, (seconds.now, seconds.now))
    seconds.now += 32 * DAY
    peer().note_pushgateway()
    assert peer().times(KEY) == {}


def test_files_are_private(peer: Callable[..., Peer], tmp_path: Path) -> None:
    peer().note_pushgateway()
    peer().note_times(KEY, {"a": 1})
    modes = {p.stat().st_mode & 0o777 for p in (tmp_path / "state/peers").iterdir()}
    assert modes == {0o600}


@given(st.binary() | st.text().map(str.encode))
@example(b"")
@example(b"[" * 5000)
@example(b'{"a": 1' + b"0" * 4000 + b"}")
@example(b'{"a": true, "b": null, "c": "1", "d": [1]}')
@example(b"\xff")
def test_any_file_is_numbers_or_nothing(content: bytes) -> None:
    assert all(type(value) is float for value in parse_numbers(content).values())


@given(st.dictionaries(st.text(), st.floats(allow_nan=False)))
def test_numbers_are_read_back(numbers: dict[str, float]) -> None:
    assert parse_numbers(json.dumps(numbers).encode()) == numbers
