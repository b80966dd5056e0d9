"""What addresses of pages carry: the keys of groups, and what was done."""

from __future__ import annotations

import re

import pytest
from builders import key_of
from group_pages import (
    page_of,
)

from pushrelay.web.pages.keys import read_key, written_key


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("done=deleted&count=1", "Deleted 1 group."),
        (
            "done=deleted&count=1234&changed=1&gone=2",
            "Deleted 1,234 groups. 1 group changed after you were shown what would be "
            "lost, and is still here. 2 groups had gone before.",
        ),
        ("done=deleted&count=<b>", "Deleted 0 groups."),
        ("done=retired&count=2", "The job is retired, and 2 groups with it."),
        ("done=paused", "The job is paused."),
        ("done=resumed", "The job is no longer paused."),
        ("done=wiped", "All groups and runs are deleted."),
        ("done=Call+0900", ""),
        ("count=7", ""),
    ],
)
def test_what_was_done_is_said_by_a_word_and_numbers(query: str, said: str) -> None:
    page = page_of(query=f"?{query}")
    assert re.findall('<p class="notice done" role="status">(.*)</p>', page) == (
        [said] if said else []
    )


@pytest.mark.parametrize(
    "labels",
    [
        {"job": "backup", "instance": "db1"},
        {"job": "..", "l": ""},
        {"job": "ü %2F?#\n\0", "l": "%"},
        {"job": "a", "x/y.z": "..", "..": "U__"},
    ],
)
def test_an_address_names_its_group(labels: dict[str, str]) -> None:
    key = key_of(**labels)
    assert read_key(written_key(key)) == key


@pytest.mark.parametrize(
    "written",
    ["", "%", "am9i", "am9i_2H_", "am9i__4", "ü", "YP9i_mpvYv9h_g", "am9i_2H-am9i_2L-"],
)
def test_what_names_no_group_is_refused(written: str) -> None:
    with pytest.raises(Exception, match="the key in the address is none of a group"):
        read_key(written)
