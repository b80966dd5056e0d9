"""Crontabs behind `pushrelay exec`: what is put in, what stays, what is told."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pushrelay.crontab import adopt
from pushrelay.wrapper.command_line import read_command_line

NIGHT = "30 2 * * * "
RELAY = "PUSHRELAY_URL=http://relay:9091\n"


def adopted(line: str, **options: Any) -> str:
    """Return `line` as it is adopted, without remarks."""
    text, remarks = adopt(RELAY + line, **options)
    assert not remarks
    return text.removeprefix(RELAY)


def remarks_on(text: str) -> list[tuple[int, str]]:
    """Return the remarks on `text`, whose lines they name must not have changed."""
    after, remarks = adopt(RELAY + text, host_zone="Europe/Berlin")
    for remark in remarks:
        line = remark.line - 1
        assert after.split("\n")[line] == (RELAY + text).split("\n")[line]
    return [(remark.line - 1, remark.text) for remark in remarks]


@pytest.mark.parametrize(
    ("line", "after"),
    [
        (
            "30 2 * * * /usr/bin/backup --all",
            "30 2 * * * pushrelay exec --job backup --schedule '30 2 * * *' -- "
            "/usr/bin/backup --all",
        ),
        (
            "  30\t2 *  * mon-fri\t backup",
            "  30\t2 *  * mon-fri\t pushrelay exec --job backup "
            "--schedule '30 2 * * mon-fri' -- backup",
        ),
        (
            "@daily cd /srv && ./it >>log",
            "@daily pushrelay exec --job it --schedule @daily -- "
            "/bin/sh -c 'cd /srv && ./it >>log'",
        ),
        ("@reboot daemon", "@reboot pushrelay exec --job daemon -- daemon"),
        (
            "-*/5 * * * * poll",
            "-*/5 * * * * pushrelay exec --job poll --schedule '*/5 * * * *' -- poll",
        ),
        (
            NIGHT + 'mail -s "It\'s 2" joe%Joe,%%sleep \\% well',
            NIGHT + "pushrelay exec --job mail --schedule '30 2 * * *' -- "
            'mail -s "It\'s 2" joe%Joe,%%sleep \\% well',
        ),
        (
            NIGHT + "cat >$(date +\\%F)%in",
            NIGHT + "pushrelay exec --job cat --schedule '30 2 * * *' -- "
            "/bin/sh -c 'cat >$(date +\\%F)'%in",
        ),
    ],
)
def test_a_command_is_put_behind_exec(line: str, after: str) -> None:
    assert adopted(line) == after


@pytest.mark.parametrize(
    "line",
    [
        "",
        "  \t",
        "# 30 2 * * * backup",
        "\t # x",
        "MAILTO=ops@example.org",
        "A = b c",
        '"A B"="c"',
        NIGHT + "pushrelay exec -- backup",
        NIGHT + "cd /srv && /opt/bin/pushrelay exec --job x -- backup",
        NIGHT + "/opt/pushrelay/bin/pushrelay spool flush",
    ],
)
def test_other_lines_stay(line: str) -> None:
    assert adopted(line) == line


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("30 2 * * *", "there must be a time and a command"),
        ("backup", "there must be a time and a command"),
        ("61 2 * * * backup", 'its minute is "61"'),
        ("30 2 30 2 * backup", "never comes round"),
        ("@sometimes backup", '"@sometimes" is not a nickname'),
        ("30 2 * * * root backup --all", '"root" is a user here; if the line is'),
        ("17 * * * *\tdaemon\trun-me", "give --system"),
        ("@daily nobody PATH=/opt/bin; run-me", "give --system"),
        (f"PATH=/bin\n{NIGHT}nobody fetch", '"nobody" is a user here'),
        ("30 2 * * * %in", "there is no command"),
        ("30 2 * * * # backup", "there is no command"),
        (NIGHT + "backup --" + "x" * 980, "more than 998 bytes"),
    ],
)
def test_what_is_not_understood_stays_with_a_remark(line: str, reason: str) -> None:
    [(number, text)] = remarks_on(f"# first\n{line}\n")
    assert number == 2 + line.count("\n")
    assert reason in text


def test_a_command_that_is_too_long_for_some_crons_already_is_put_behind_exec() -> None:
    assert " exec --job backup " in adopted(NIGHT + "backup --" + "x" * 1000)


@pytest.mark.parametrize(
    "command",
    ["root", "nobody -f", "nobody>/x y", "nobody; x", "sync /srv", "no-one x"],
)
def test_a_command_is_not_taken_for_a_user(command: str) -> None:
    assert " exec --job " in adopted(NIGHT + command)


def test_a_program_of_the_name_of_a_user_is_found_where_cron_looks(
    tmp_path: Path,
) -> None:
    program = tmp_path / "nobody"
    program.touch(0o755)
    line = f"PATH=/bin:{tmp_path}\n{NIGHT}nobody fetch"
    assert " exec --job nobody " in adopted(line)


def test_lines_of_the_system_have_users() -> None:
    line = "17 *\t* * *\troot\tcd / && run-parts --report /etc/cron.hourly"
    assert adopted(line, system=True) == (
        "17 *\t* * *\troot\tpushrelay exec --job cron.hourly --schedule '17 * * * *' "
        "-- /bin/sh -c 'cd / && run-parts --report /etc/cron.hourly'"
    )
    _, [remark] = adopt(NIGHT + "backup", system=True)
    assert "a time, a user and a command" in remark.text


def test_names_are_given_once() -> None:
    text, _ = adopt(
        f"{NIGHT}a/sync\n# --job sync-2\n{NIGHT}b/sync\n{NIGHT}c/sync | x\n"
        f"{NIGHT}pushrelay exec --job=sync-3 -- sync\n@daily 'Früh & spät.sh'\n@daily :"
    )
    assert re.findall(r"--job[ =](\S+)", text) == [
        *("sync", "sync-2", "sync-2", "sync-4", "sync-3", "Früh---spät.sh", "job")
    ]


def test_arguments_give_no_names() -> None:
    assert "--job mysqldump -" in adopted(NIGHT + "mysqldump -psecret")


@pytest.mark.parametrize(
    ("environment", "behind"),
    [
        ("", "-- backup"),
        ("SHELL=/bin/dash\n", "-- backup"),
        # It runs a script that does not say what interprets it; we leave that to sh.
        ("SHELL=/bin/bash\n", "-- /bin/bash -c 'backup'"),
        ("SHELL = '/usr/bin/zsh' \n", "-- /usr/bin/zsh -c 'backup'"),
        ("BASH_ENV=/x\n", "-- backup"),
        ("BASH_ENV=\nSHELL=/bin/bash\n", "-- /bin/bash -c 'backup'"),
        ("SHELL=/bin/bash\nSHELL=/bin/ksh\n", "-- /bin/ksh -c 'backup'"),
    ],
)
def test_the_shell_is_that_of_the_line(environment: str, behind: str) -> None:
    *_, line = adopted(environment + NIGHT + "backup").split("\n")
    assert line.partition("'30 2 * * *' ")[2] == behind


@pytest.mark.parametrize("shell", ["/usr/bin/fish", "bash", "", "/opt/my shell/sh"])
def test_lines_of_other_shells_stay(shell: str) -> None:
    [(number, text)] = remarks_on(f"{NIGHT}backup\nSHELL={shell}\n{NIGHT}backup")
    assert number == 3
    assert "SHELL" in text


def test_a_file_that_would_be_read_twice_keeps_a_line_as_it_is() -> None:
    [(number, text)] = remarks_on(f"BASH_ENV=/x\nSHELL=/bin/bash\n{NIGHT}backup")
    assert number == 3
    assert "BASH_ENV twice" in text


@pytest.mark.parametrize(
    ("environment", "zone"),
    [
        ("", None),
        ("CRON_TZ=Asia/Tokyo", "Asia/Tokyo"),
        ("CRON_TZ='Asia/Tokyo'\nTZ=UTC", "Asia/Tokyo"),
        ("CRON_TZ=Nowhere/Else", None),
        ("CRON_TZ=Asia/Tokyo\nCRON_TZ=", None),
        # What the command sees does not change when cron starts it.
        ("TZ=Asia/Tokyo", "Europe/Berlin"),
    ],
)
def test_the_zone_is_that_by_which_cron_starts(
    environment: str, zone: str | None
) -> None:
    text, _ = adopt(f"{environment}\n{NIGHT}backup", host_zone="Europe/Berlin")
    assert re.findall(r"--tz (\S+)", text) == ([zone] if zone else [])


def test_without_a_schedule_there_is_no_zone() -> None:
    line = "@reboot pushrelay exec --job backup -- backup"
    text, _ = adopt("CRON_TZ=Asia/Tokyo\n@reboot backup")
    assert text.split("\n")[1] == line


def test_a_zone_for_some_crons_only_makes_a_remark() -> None:
    assert [number for number, _ in remarks_on("\nCRON_TZ=Asia/Tokyo")] == [2]
    [(_, text)] = remarks_on("CRON_TZ=Nowhere/Else")
    assert '"Nowhere/Else" is no time zone' in text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"\n{NIGHT}a\n{NIGHT}b\n", 2),
        (f"PUSHRELAY_URL=\n{NIGHT}a", 2),
        (f"{NIGHT}a\n{RELAY}{NIGHT}b", 1),
        (f"{NIGHT}a --url=x\n{NIGHT}pushrelay exec -- b", 2),
        (f"{RELAY}{NIGHT}a", None),
        (f"PUSHRELAY_URL = 'http://relay:9091'\n{NIGHT}a", None),
        (f"{NIGHT}pushrelay exec --url http://relay:9091 -- a", None),
        (f"{NIGHT}pushrelay exec --textfile /var/lib/x -- a", None),
        (f"{NIGHT}PUSHRELAY_URL=http://relay:9091 pushrelay exec -- a", None),
        (f"# {NIGHT}a\nA=b\n{NIGHT}/opt/pushrelay/bin/pushrelay serve", None),
    ],
)
def test_the_first_job_without_a_relay_makes_a_remark(
    text: str, line: int | None
) -> None:
    _, remarks = adopt(text)
    assert [remark.line for remark in remarks] == ([line] if line else [])
    for remark in remarks:
        assert "jobs report to http://localhost:9091" in remark.text
        assert "put PUSHRELAY_URL=" in remark.text


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("dump | gzip", "SHELL=/bin/bash above and set -o pipefail; before"),
        ("dump | gzip >$(date +\\%F)", "only the last command of a pipe"),
        ("[ -e /x ] && backup", "whenever the test is false"),
        ("test -e /x && backup%in", "[ ! ... ] ||"),
    ],
)
def test_an_outcome_that_misleads_makes_a_remark(line: str, reason: str) -> None:
    text, remarks = adopt(f"{RELAY}{NIGHT}{line}\n{NIGHT}sync")
    assert " exec --job " in text.split("\n")[1]
    [(number, told)] = [(remark.line, remark.text) for remark in remarks]
    assert number == 2
    assert reason in told
    assert adopt(text) == (text, [])


def test_remarks_on_commands_are_in_the_order_of_lines() -> None:
    _, remarks = adopt(f"{RELAY}{NIGHT}a | b\nx\n{NIGHT}[ c ] && a | b")
    assert [remark.line for remark in remarks] == [2, 3, 4, 4]


def test_a_shell_that_knows_pipefail_need_not_be_another() -> None:
    _, [remark] = adopt(f"{RELAY}SHELL=/bin/bash\n{NIGHT}a | b")
    assert "with set -o pipefail; before the command" in remark.text


@pytest.mark.parametrize(
    ("program", "written"),
    [
        ("/opt/pushrelay/bin/pushrelay", "/opt/pushrelay/bin/pushrelay"),
        ("/opt/it's 5%/pr", "'/opt/it'\\''s 5\\%/pr'"),
    ],
)
def test_the_program_may_be_another(program: str, written: str) -> None:
    line = adopted(NIGHT + "backup", program=lambda _: program)
    assert line.startswith(f"{NIGHT}{written} exec --job backup ")
    assert adopted(line, program=lambda _: program) == line


def test_the_program_depends_on_where_cron_looks() -> None:
    text, _ = adopt(
        f"{NIGHT}a\nPATH=/opt/app/bin\n{NIGHT}b\nPATH='/x:/y'\n{NIGHT}c",
        program=lambda path: path.replace(":", "+") + "/pushrelay",
    )
    assert re.findall(r"(\S+) exec", text) == [
        *("/usr/bin+/bin/pushrelay", "/opt/app/bin/pushrelay", "/x+/y/pushrelay")
    ]


PIECES = st.sampled_from(
    [
        *("0 3 * * * ", "@daily ", "@reboot\t", "* * * *", "root ", "#", "\n", "\n"),
        *("/bin/x ", "x", " ", "cd /y", "&&", ";", ">", "'", '"', "\\", "%", "\\%"),
        *("$A", "$(x)", "`", "A=1 ", "pushrelay ", "exec ", "--job x", "\r", "\xff"),
        *(
            "SHELL=/bin/bash",
            "BASH_ENV=x",
            "PATH=/x",
            "TZ=UTC",
            "CRON_TZ=UTC",
            "\udcff",
            "é",
            "=",
            "\0",
        ),
    ]
)


@given(st.lists(PIECES, max_size=20).map("".join), st.booleans())
@settings(max_examples=300)
def test_adopting_again_changes_nothing(text: str, system: bool) -> None:
    once, _ = adopt(text, system=system, host_zone="UTC")
    again, _ = adopt(once, system=system, host_zone="UTC")
    assert again == once


@given(st.lists(PIECES, max_size=20).map("".join), st.booleans())
@settings(max_examples=300)
def test_all_but_what_is_put_in_stays(text: str, system: bool) -> None:
    after, _ = adopt(text, system=system, host_zone="UTC")
    put_in = re.compile(
        r"pushrelay exec --job \S+(?: --schedule (?:'[^']*'|@\w+))?(?: --tz UTC)? -- "
        r"(?:(/bin/\w+ -c )'((?:[^']|'\\'')*)')?"
    )

    def taken_out(found: re.Match[str]) -> str:
        return found[2].replace("'\\''", "'") if found[1] else ""

    for line, changed in zip(text.split("\n"), after.split("\n"), strict=True):
        if line == changed:
            continue
        found = put_in.search(changed)
        assert found
        assert line == put_in.sub(taken_out, changed, count=1)
        # Options that exec does not take would keep the job from running.
        assert read_command_line([*shlex.split(found[0])[2:], "x"], {})


def test_a_quoted_command_is_one_word() -> None:
    command = "it's \"a\" | 'b'"
    [*_, last] = shlex.split(adopted(NIGHT + command))
    assert last == command
