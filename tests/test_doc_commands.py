"""The commands that the docs show do what the docs say."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from urllib.parse import urlsplit

import pytest
from doc_commands import CURL, Called, Desk, Ran
from doc_examples import Block, blocks, code_words, table
from relay_process import RelayProcess

from pushrelay.config import Settings
from pushrelay.web.routing import Found, Router

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(CURL is None, reason="curl is not installed"),
]

RUN = [
    "README.md",
    "docs/getting-started.md",
    "docs/runs.md",
    "docs/freshness.md",
    "docs/security.md",
    "docs/migrating.md",
    # The last command ends the relay.
    "docs/api.md",
]
"""The pages whose commands are run."""

NOT_RUN = {
    "make run": "serves until it is ended, or installs",
    "python3 -m venv /opt": "for root, on a machine that is to be changed",
    "mkdir -p /etc/prometheus": "the same",
    "docker ": "needs Docker",
    "pushrelay serve": "serves until it is ended",
    "promtool ": "asks a Prometheus; tests/e2e does",
    "amtool ": "asks an Alertmanager; tests/e2e does",
    "crontab -l": "changes the crontab of who runs it; tests/cli/test_crontab.py does",
}
"""How blocks begin that cannot be run here, and why."""

RUN_HERE = (
    "curl ",
    "diff ",
    "echo ",
    "export ",
    "for ",
    "pushrelay ",
    "rid=",
    "umask ",
)
"""How the others begin. One that begins otherwise has its place in one of these lists
once somebody has looked at it: it might do something to this machine."""

OTHER_RESULTS = {
    "curl -H 'Accept: application/json' --data-binary @- ": [400],
    "export PATH": [3, 0, 200, 200],
    "for _ in 1 2 3; do pushrelay exec": [1, 1, 1],
}
"""How blocks begin in which not all succeeds, and the results of all their calls."""

JOBS = ("nightly-report", "import", "backup")
"""Programs that the pages run as jobs."""

RanBlocks = dict[str, list[Ran]]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Where commands are run, with one relay for all of them."""
    directory = tmp_path_factory.mktemp("docs")
    rules = directory / "rules.toml"
    rules.write_text("")
    flags = ("--web.enable-admin-api", "--web.enable-lifecycle")
    with RelayProcess(directory, *flags, f"--config.file={rules}") as relay:
        desk = Desk(directory, relay)
        for name in JOBS:
            desk.program(name, "#!/bin/sh\n")
        (directory / "metrics.txt").write_text("rows 5\n")
        yield desk


@pytest.fixture(scope="module")
def ran(desk: Desk) -> RanBlocks:
    """The blocks of each page that were run; no page sees what others stored."""
    found = {}
    for page in RUN:
        desk.relay.wipe()
        shown = [each for each in blocks(page, "sh") if not begins(each, NOT_RUN)]
        found[page] = [desk.run(block) for block in shown if begins(block, RUN_HERE)]
    return found


def begins(block: Block, starts: Iterable[str]) -> bool:
    """Whether `block` begins with one of `starts`."""
    return block.text.startswith(tuple(starts))


@pytest.mark.parametrize("page", RUN)
def test_every_block_of_the_page_is_run_or_is_known_not_to_be(page: str) -> None:
    for block in blocks(page, "sh"):
        assert begins(block, [*RUN_HERE, *NOT_RUN]), f"{block}: is it to be run here?"


@pytest.mark.parametrize("page", RUN)
def test_every_command_of_the_page_has_its_result(ran: RanBlocks, page: str) -> None:
    for each in ran[page]:
        assert each.calls, f"{each.block} calls nothing"
        other = [OTHER_RESULTS[s] for s in OTHER_RESULTS if begins(each.block, [s])]
        if other:
            results = [call.result for call in each.calls]
            assert [results] == other, f"{each.block}: {each.calls}"
        else:
            wrong = [call for call in each.calls if not succeeded(call)]
            assert not wrong, str(each.block)


def succeeded(call: Called) -> bool:
    """Whether a call did what it was to do."""
    return call.result == 0 if call.program == "pushrelay" else call.result // 100 == 2


def test_no_list_names_what_no_page_has() -> None:
    shown = [block.text for page in RUN for block in blocks(page, "sh")]
    for start in (*NOT_RUN, *RUN_HERE, *OTHER_RESULTS):
        assert any(text.startswith(start) for text in shown), start


def test_the_last_command_ends_the_relay(desk: Desk, ran: RanBlocks) -> None:
    assert ran[RUN[-1]]
    assert desk.relay.wait() == 0


def test_every_endpoint_for_programs_has_a_command(ran: RanBlocks) -> None:
    router = Router(replace(Settings(), enable_admin_api=True))

    def name_of(method: str, path: str) -> str:
        found = router.resolve(method, path)
        assert isinstance(found, Found), (method, path)
        return f"{method} {found.name}" if found.name == "push" else found.name

    shown = {
        name_of(method, urlsplit(url).path)
        for each in ran["docs/api.md"]
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
        for each in ran["docs/api.md"]
        if each.output.startswith("{")
    }
    shown = list(blocks("docs/api.md", "sh", "json"))
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
