from __future__ import annotations

import pytest

from pushrelay.shell_words import is_simple, program_of


@pytest.mark.parametrize(
    "command",
    [
        "/usr/bin/backup",
        "/usr/bin/backup --all",
        "backup -o key=value a,b {1,2} *.log [ab]? ~/x !x",
        "backup 'a; b' \"c && d\" e\\;f\\ g",
        "backup \"$HOME/x\" $USER ${USER}s 'it'\\''s'",
        "$HOME/bin/backup",
        '"/opt/my app/run" now',
        "~/bin/backup  \t x  ",
        "backup # at night; don't worry",
        "backup a#b",
        "backup \\%F",
        "env A=1 backup",
    ],
)
def test_a_program_and_its_words_are_simple(command: str) -> None:
    assert is_simple(command)


@pytest.mark.parametrize(
    "command",
    [
        "",
        "# only a comment",
        "a; b",
        "a && b",
        "a || b",
        "a | b",
        "a &",
        "a > file",
        "a 2>&1",
        "a < file",
        "(a)",
        "{ a; }",
        "{ a",
        "! a",
        "A=1 a",
        "A+=1 a",
        "`a` b",
        "a `b`",
        'a "`b`"',
        "a $(b)",
        'a "$(b)"',
        "a ${B:-c}",
        "a $$",
        "a $1",
        "a $'b'",
        "$COMMAND a",
        "cd /srv",
        "'cd' /srv",
        "echo a",
        ". file",
        "[ -x /usr/bin/a ]",
        "test -x /usr/bin/a",
        "exec a",
        "if a",
        "a 'b",
        'a "b',
        "a \\",
        "a\rb",
        "a \xa0b",
        "''",
    ],
)
def test_what_a_shell_must_see_is_not(command: str) -> None:
    assert not is_simple(command)


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("/usr/bin/backup --all", "backup"),
        ("'/opt/my app/run it' now", "run it"),
        ("cd /srv && ./report.sh >/dev/null 2>&1", "report.sh"),
        ("cd /srv; A=1 B='2 3' report", "report"),
        (
            "test -x /usr/sbin/anacron || { cd / && run-parts -v /etc/x.daily; }",
            "x.daily",
        ),
        ("[ -d /x ] && (backup)", "backup"),
        ("if test -f x; then backup; fi", "backup"),
        ("for f in *.gz; do gunzip $f; done", "gunzip"),
        ("! backup", "backup"),
        (">/tmp/log backup", "backup"),
        ("2>/tmp/log backup 3 >x", "backup"),
        ("echo x | mail root", "mail"),
        ("date=$(date +%F); backup $date", "backup"),
        ("`which backup` --all", "`which backup`"),
        ("nice -n 19 ionice -c3 backup", "backup"),
        ("nice -19 backup", "backup"),
        ("flock -n /run/lock timeout -k 5 1h /srv/backup", "backup"),
        ("flock -w 5 /run/lock -c 'backup --all'", "flock"),
        ("sudo -u www-data -- env A=1 backup", "backup"),
        ("exec backup", "backup"),
        ("nice", "nice"),
        ("python3 /srv/report.py --daily", "report.py"),
        ("/usr/bin/python3.11 -u -W error -m site.report", "site.report"),
        ("python3 -c 'import x'", "python3"),
        ("php -q -f /srv/cron.php", "cron.php"),
        ("perl -w report.pl", "report.pl"),
        ("bash -lc 'cd /srv && bin/report'", "report"),
        ("sh /srv/report.sh", "report.sh"),
        ("sh", "sh"),
        ("cd /srv; echo done", "cd"),
        ("backup # && report", "backup"),
        ("# backup", ""),
        ("", ""),
        ("A=1", ""),
        ("echo 'unfinished", "echo"),
        ('backup "unfinished', "backup"),
    ],
)
def test_the_program_is_found_that_the_command_is_about(
    command: str, name: str
) -> None:
    assert program_of(command) == name
