"""The commands that the docs show do what the docs say."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import chain, pairwise
from textwrap import dedent
from urllib.parse import urlsplit

import pytest
from doc_commands import MISSING, Desk, Ran
from doc_examples import Block, blocks, code_words, pages, table
from relay_process import RelayProcess

from pushrelay.config import Settings
from pushrelay.web.routing import Found, Router

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(bool(MISSING), reason=f"{MISSING} not installed"),
]

FIRST = "docs/configuration.md"
"""The page that makes the token which docs/cli.md rotates."""

LAST = "docs/api.md"
"""The page whose last command ends the relay."""

PAGES = sorted(
    (page for page in pages() if any(blocks(page, "sh"))),
    key=lambda page: (page == LAST) - (page == FIRST),
)
"""All pages with commands, in the order in which they are run."""

NOT_RUN = {
    "make ": "installs, takes minutes, or serves until it is ended",
    "/srv/report/venv/bin/pip install": "installs",
    "python3 -m venv /opt": "for root, on a machine that is to be changed",
    "mkdir -p /etc/prometheus": "the same",
    "cp ": "the same",
    "cd contrib/grafana": "the same",
    "sed -i 's|http://localhost": "the same",
    "systemctl ": "the same",
    "docker ": "needs Docker",
    "touch .env": "the same",
    "pip install": "installs, and needs a PostgreSQL server",
    "pushrelay backup pushrelay.db": "needs one too; tests/cli/test_backup.py has it",
    "pushrelay serve": "serves until it is ended",
    "PUSHRELAY_BIND": "the same",
    "promtool check": "reads files in /etc; tests/contrib checks them here",
    "promtool query": "asks a Prometheus; tests/e2e does",
    "promtool test": "takes seconds; tests/contrib does",
    "amtool ": "runs or asks an Alertmanager; tests/e2e does",
    "crontab -l": "changes the crontab of who runs it; tests/cli/test_crontab.py does",
    'echo "rows_imported $rows"': "is part of a job; tests/wrapper has such jobs",
}
"""How blocks begin that cannot be run here, and why."""

RUN_HERE = (
    "(umask ",
    "curl ",
    "diff ",
    "echo ",
    "export ",
    "for ",
    "pushrelay ",
    "rid=",
    "sed -i 's|docs/runbooks.md",
    "sqlite3 ",
    "umask ",
)
"""How the others begin. One that begins otherwise has its place in one of these lists
once somebody has looked at it: it might do something to this machine."""

BEFORE = {
    "contrib/prometheus/README.md": 'cp -r "$PYTHONPATH/contrib/prometheus/." .',
    "docs/cli.md": """
        curl "$PUSHRELAY_URL/api/v1/ping" -d job=backup -d status=success
        run=0190ab57-c4e2-7a6c-b2fd-5c0d4a9b1b03
        curl -X PUT -d @- "$PUSHRELAY_URL/api/v1/runs/$run" <<END
        {"job": "nightly-report", "state": "finished", "outcome": "failure",
         "started_at": 1795378800, "finished_at": 1795378810, "exit_code": 3}
        END
    """,
    "docs/exec.md": 'curl "$PUSHRELAY_URL/api/v1/ping" -d job=backup -d status=fail',
    "docs/runbooks.md": 'curl "$PUSHRELAY_URL/api/v1/ping" -d job=JOB -d status=fail',
}
"""What has happened when somebody begins with a page."""

OTHER_RESULTS = {
    "curl -H 'Accept: application/json' --data-binary @- ": [400],
    "export PATH": [3, 0, 200, 200],
    "export PUSHRELAY_URL=http://RELAY": [1, 0, 0],
    "for _ in 1 2 3; do pushrelay exec": [1, 1, 1],
    "pushrelay jobs --check  ": [1, 0, 0, 0],
    "pushrelay jobs\npushrelay jobs --check backup": [0, 1],
    "pushrelay lint": [1],
    # The database is not empty.
    "pushrelay restore /backups/pushrelay.db\n": [1, 0],
}
"""How blocks begin in which not all succeeds, and the results of all their calls."""

STUBS = ("nightly-report", "import", "backup", "amtool")
"""Programs that the pages run as jobs, and one that would ask an Alertmanager."""

RanBlocks = dict[str, list[Ran]]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Where commands are run, with one relay for all of them."""
    directory = tmp_path_factory.mktemp("docs")
    rules = directory / "rules.toml"
    rules.write_text("")
    flags = ("--web.enable-admin-api", "--web.enable-lifecycle")
    relay = RelayProcess(directory, *flags, f"--config.file={rules}")
    # It is the one that commands use which are told no other.
    relay.database = directory / "data" / "pushrelay.db"
    desk = Desk(directory, relay)
    for name in STUBS:
        desk.program(name, "#!/bin/sh\n")
    for name in ("metrics.txt", "metrics.prom"):
        (directory / name).write_text("rows 5\n")
    with relay:
        yield desk


@pytest.fixture(scope="module")
def ran(desk: Desk) -> RanBlocks:
    """The blocks of each page that were run; no page sees what others stored."""
    found = {}
    for page in PAGES:
        desk.relay.wipe()
        if page in BEFORE:
            before = desk.run(Block(page, 0, "sh", dedent(BEFORE[page])))
            assert all(call.succeeded for call in before.calls), before.calls
        shown = [each for each in blocks(page, "sh") if not begins(each, NOT_RUN)]
        found[page] = [desk.run(block) for block in shown if begins(block, RUN_HERE)]
    return found


def begins(block: Block, starts: Iterable[str]) -> bool:
    """Whether `block` begins with one of `starts`."""
    return block.text.startswith(tuple(starts))


@pytest.mark.parametrize("page", PAGES)
def test_every_block_of_the_page_is_run_or_is_known_not_to_be(page: str) -> None:
    for block in blocks(page, "sh"):
        assert begins(block, [*RUN_HERE, *NOT_RUN]), f"{block}: is it to be run here?"


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_the_page_has_its_result(ran: RanBlocks, page: str) -> None:
    for each in ran[page]:
        assert each.calls, f"{each.block} calls nothing"
        other = [OTHER_RESULTS[s] for s in OTHER_RESULTS if begins(each.block, [s])]
        if other:
            results = [call.result for call in each.calls]
            assert [results] == other, f"{each.block}: {each.calls}"
        else:
            wrong = [call for call in each.calls if not call.succeeded]
            assert not wrong, str(each.block)


def test_no_list_names_what_no_page_has() -> None:
    shown = [block.text for page in PAGES for block in blocks(page, "sh")]
    for start in (*NOT_RUN, *RUN_HERE, *OTHER_RESULTS):
        assert any(text.startswith(start) for text in shown), start


def test_the_last_command_ends_the_relay(desk: Desk, ran: RanBlocks) -> None:
    assert ran[LAST]
    assert desk.relay.wait() == 0


def test_a_command_changes_the_addresses_of_all_runbooks(
    desk: Desk, ran: RanBlocks
) -> None:
    assert ran["contrib/prometheus/README.md"]
    changed = [*desk.directory.glob("*.rules.yml"), *desk.directory.glob("tests/*.yml")]
    found = [re.findall(r"(\S*)docs/runbooks.md#", f.read_text()) for f in changed]
    assert set(chain(*found)) == {"https://git.example/pushrelay/blob/main/"}


def test_what_a_command_saves_of_a_database_has_its_rows(
    desk: Desk, ran: RanBlocks
) -> None:
    assert ran["docs/operations.md"]
    with closing(sqlite3.connect(desk.directory / "recovered.db")) as database:
        (tokens,) = database.execute("SELECT name FROM tokens")
    assert tokens == ("nightly",)


def test_every_endpoint_for_programs_has_a_command(ran: RanBlocks) -> None:
    router = Router(replace(Settings(), enable_admin_api=True))

    def name_of(method: str, path: str) -> str:
        found = router.resolve(method, path)
        assert isinstance(found, Found), (method, path)
        return f"{method} {found.name}" if found.name == "push" else found.name

    shown = {
        name_of(method, urlsplit(url).path)
        for each in ran[LAST]
        for method, url in (call.what.split() for call in each.calls)
    }
    paths: list[str] = []
    for path_cell, method_cell, *_ in table("api.md", "## Endpoints"):
        paths = code_words(path_cell) or paths
        for path in paths:
            # The others are pages, for people.
            if path.startswith(("/metrics", "/api/", "/-/")):
                path = re.sub(r"\{.*\}", "", path).replace("<job>", "eA")
                names = {name_of(method, path) for method in code_words(method_cell)}
                assert names & shown, (method_cell, path)


def test_what_is_shown_of_answers_has_their_members(ran: RanBlocks) -> None:
    answers = {
        each.block.line: json.JSONDecoder().raw_decode(each.output)[0]
        for each in ran[LAST]
        if each.output.startswith("{")
    }
    shown = list(blocks(LAST, "sh", "json"))
    examples = [
        (example, answers[command.line])
        for command, example in pairwise(shown)
        if command.line in answers and example.language == "json"
    ]
    assert len(examples) > 4
    for example, answer in examples:
        assert is_like(json.loads(example.text), answer), f"{example}: {answer}"


def is_like(told: object, answered: object) -> bool:
    """Whether two JSON values have the same members, where neither is empty or null. Of
    an array that is told, one of those that are answered is like the first element."""
    if isinstance(told, dict) and isinstance(answered, dict):
        return told.keys() == answered.keys() and all(
            is_like(value, answered[name]) for name, value in told.items()
        )
    if isinstance(told, list) and isinstance(answered, list):
        return not (told and answered) or any(is_like(told[0], a) for a in answered)
    return True
