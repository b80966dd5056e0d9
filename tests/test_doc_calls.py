"""Commands of ours that the docs tell people to type are there, with their options."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from contextlib import suppress

import click
import pytest
from doc_examples import ROOT, blocks, pages, without_blocks

from pushrelay.cli.main import cli
from pushrelay.cli.runs import DefaultGroup

SHELL = ("sh", "crontab", "diff", "ini")
NOT_TYPED = re.compile(
    r"(?<= )<<'?(\w+)'?\n.*?^\1$|(?:^|(?<=\s))#.*?$", re.DOTALL | re.MULTILINE
)
"""What the shell takes for text, and for a comment."""

OURS = re.compile(r"(?:Exec\w+=)?(?:\S*/)?pushrelay")
BEFORE = re.compile(r"\w+=.*|do|then|exec|\{|!|[+-]?|[0-9*/,@a-z-]*[0-9*]|@\w+")
"""Words that may stand before the name of a program; times of a crontab are, too."""

Call = list[str]


def calls_in(text: str) -> Iterator[Call]:
    """Yield the words behind each `pushrelay` in lines of a shell."""
    text = NOT_TYPED.sub("", text).replace("\\\n", " ")
    words = shlex.shlex(text, posix=True, punctuation_chars="();<>|&\n")
    words.commenters, words.whitespace, words.whitespace_split = "", " ", True
    call: Call | None = None
    is_first = True
    for word in (*words, "\n"):
        if set(word) <= {*"();<>|&\n"}:
            if call is not None:
                yield call
            call, is_first = None, True
        elif call is not None:
            call.append(word)
        elif is_first and OURS.fullmatch(word):
            call = []
        elif not BEFORE.fullmatch(word):
            is_first = False


def shown_on(page: str) -> list[Call]:
    """Return the calls in the blocks of a page."""
    return [call for block in blocks(page, *SHELL) for call in calls_in(block.text)]


def mentioned_on(page: str) -> list[Call]:
    """Return the calls in the text of a page."""
    text = without_blocks((ROOT / page).read_text())
    code = re.findall(r"`(pushrelay [a-z][^`]*)`", text)
    return [call for one in code for call in calls_in(" ".join(one.split()))]


def read(call: Call) -> None:
    """Read a call as the program does, but for the values of options."""
    command: click.Command = cli
    while call and isinstance(command, click.Group):
        found = command.get_command(click.Context(command), call[0])
        if found is None and isinstance(command, DefaultGroup):
            call = ["list", *call]
        else:
            assert found is not None, call
            command, call = found, call[1:]
    command.make_parser(click.Context(command)).parse_args([*call])


@pytest.mark.parametrize("page", pages())
def test_a_call_names_a_command_and_options_that_there_are(page: str) -> None:
    for call in shown_on(page):
        read(call)
    for call in mentioned_on(page):
        # The text may leave out the value of an option.
        with suppress(click.BadOptionUsage):
            read(call)


def test_calls_are_found_wherever_they_are() -> None:
    line = "rows=$(wc -l <a) || URL=http://x pushrelay push 'a\nb' | tee pushrelay"
    assert [*calls_in(line)] == [["push", "a\nb"]]
    heredoc = (
        "pushrelay lint - <<END\npushrelay no\nEND\n(umask 077; pushrelay jobs)  # it's"
    )
    assert [*calls_in(heredoc)] == [["lint", "-"], ["jobs"]]
    assert [*calls_in("0 3 * * * /usr/local/bin/pushrelay exec -- a")] == [
        ["exec", "--", "a"]
    ]
    for found in (shown_on, mentioned_on):
        assert sum(len(found(page)) for page in pages()) > 60


@pytest.mark.parametrize("call", [["import", "x"], ["runs", "a", "--no"], ["jbos"]])
def test_a_call_that_would_fail_is_noticed(call: Call) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        read(call)
