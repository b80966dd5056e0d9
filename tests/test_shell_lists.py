from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushrelay.shell_lists import fails_by_a_test, hides_failures


@pytest.mark.parametrize(
    "command",
    [
        "dump | gzip",
        "/usr/bin/dump app |gzip -9 >/srv/x.gz",
        "dump 2>&1 | logger -t dump",
        "dump |& tee log",
        "dump 2>&- | gzip",
        'dump | gzip >"/srv/$(date +%F).gz"',
        "dump '--where=a | b' | gzip # all of it",
        "cd /srv && dump | gzip",
        "cd /srv; dump | gzip;",
        "dump | gzip || echo failed",
        "dump | gzip && touch done",
        "echo x | dump | gzip",
        "dump `x | y` $(x | y) | gzip",
        "(a; b) | mail root",
        "{ a; b; } 2>&1 | mail root",
        "list | while read f; do rm $f; done",
        "if a; then b; fi | mail root",
        "for f in a b; do c; done | mail root",
        "A=1 dump | gzip",
        "sleep 1 & dump | gzip",
        "join <(a) <(b) | gzip",
    ],
)
def test_a_pipe_hides_that_commands_fail(command: str) -> None:
    assert hides_failures(command)
    assert not fails_by_a_test(command)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "# a | b",
        "dump",
        "dump || mail",
        "dump --where='a | b'",
        'dump "a | b" a\\|b',
        'dump "$(a "b | c")"',
        'dump "$(a | b)" `a | b` $(a | b)',
        "dump $(a $(b $(c | d)))",
        "a | b; c",
        "a | b &",
        "a | b & c",
        "(a | b)",
        "{ a | b; }",
        "if a | b; then c; fi",
        "while a | b; do c; done",
        "for f in x; do a | b; done",
        "case x in a|b) c;; esac",
        "case x in (a|b) c | d;; esac",
        "set -o pipefail; a | b",
        "bash -o pipefail -c 'a | b'",
        "sh -c 'a | b'",
        "! a | b",
        "echo y | backup",
        "printf '%s' x | mail root",
        "yes | /bin/cat",
        "yes | backup && true",
        "[[ a =~ (b|c) ]]",
        "a | ",
        "| a",
        "a 'b | c",
        'a "b | c',
        "a; # b | c",
        "a;# b | c",
        ") | a",
        "( | a",
        "a >| b",
    ],
)
def test_others_hide_nothing_or_are_not_judged(command: str) -> None:
    assert not hides_failures(command)


@pytest.mark.parametrize(
    "command",
    [
        "[ -x /usr/bin/a ] && a",
        "test -e /run/x && /usr/bin/a --all >/dev/null",
        "/usr/bin/test -e /run/x && a",
        "[[ $A == b && -e c ]] && a",
        "cd /srv && [ -e x ] && a",
        "[ -e x ] && [ -e y ] && a",
        "[ ! -e x ] && a;",
        "sleep 1; [ -e x ] && a",
        "[ -e x ] && { a || b; }",
        "[ -e x ] && (a; b)",
        '[ "$(date +%u)" = 7 ] && a',
    ],
)
def test_a_test_that_is_false_is_a_failure(command: str) -> None:
    assert fails_by_a_test(command)
    assert not hides_failures(command)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "a && b",
        "[ -x /usr/bin/a ] || a",
        "test -x /usr/sbin/anacron || { cd / && run-parts -v /etc/x.daily; }",
        "[ -e x ] && a || true",
        "[ -e x ] && a; b",
        "[ -e x ] && a &",
        "[ -e x ]",
        "a && [ -e x ]",
        "if [ -e x ] && [ -e y ]; then a; fi",
        "([ -e x ] && a)",
        "[ -e x ] | a && b",
        "a '[ -e x ] && b'",
        "[ -e 'x ] && b",
        "[ -e x ] &&",
    ],
)
def test_other_tests_do_no_harm_or_are_not_judged(command: str) -> None:
    assert not fails_by_a_test(command)


@given(st.text("ab;&|(){}[]!<>#'\"\\`$ \n=", max_size=20))
@settings(max_examples=300)
def test_anything_may_be_asked_of(command: str) -> None:
    assert hides_failures(command) in (True, False)
    assert fails_by_a_test(command) in (True, False)
