"""The docs name every endpoint, metric, reason and flag, and no other."""

from __future__ import annotations

import inspect
import json
import re
import time
from collections.abc import Iterator
from dataclasses import fields, replace

import click
import pytest
from click.testing import CliRunner
from doc_examples import DOCS, ROOT, code_words, table
from relay_process import StartRelay

from pushrelay.aggregation import Mode
from pushrelay.cli.lint import lint
from pushrelay.cli.main import cli
from pushrelay.cli.push import push
from pushrelay.cli.serve import serve
from pushrelay.config import Settings
from pushrelay.errors import LimitExceeded, PushrelayError
from pushrelay.job_rules import JobLimits, JobRule, parse_rules
from pushrelay.policies import Policies
from pushrelay.problems import MEMBERS
from pushrelay.schedule import Expectation
from pushrelay.selector_parser import parse_selector
from pushrelay.telemetry import OWN_FAMILIES
from pushrelay.web import gateway
from pushrelay.web.errors import RequestTimeout, problem_of
from pushrelay.web.routing import Found, Router

PAGES = [
    ROOT / "README.md",
    ROOT / "Makefile",
    ROOT / "Dockerfile",
    *DOCS.glob("*.md"),
    *(path for path in (ROOT / "contrib").rglob("*") if path.is_file()),
]

OF_OTHERS = {"--alertmanager.url"}
"""Flags on the pages that are not ours: amtool's."""


def documented_endpoints() -> Iterator[tuple[str, str, str]]:
    """Yield (method, path with placeholders, right) of every documented endpoint."""
    paths: list[str] = []
    for path_cell, method_cell, right, _ in table("api.md", "## Endpoints"):
        paths = code_words(path_cell) or paths
        for path in paths:
            for method in code_words(method_cell):
                yield method, path, right


def example(path: str) -> str:
    """Fill in the placeholders of a documented path."""
    path = re.sub(r"\{.*\}", "", path)
    return path.replace("<job>", "eA").replace("<file>", "x.css")


@pytest.fixture
def router() -> Router:
    """The routes of a relay with everything switched on."""
    return Router(replace(Settings(), enable_admin_api=True))


def test_every_documented_endpoint_exists_and_asks_for_its_right(
    router: Router,
) -> None:
    for method, path, right in documented_endpoints():
        found = router.resolve(method, example(path))
        assert isinstance(found, Found), (method, path)
        assert (found.right or "-") == right, (method, path)


def test_every_endpoint_is_documented(router: Router) -> None:
    answered = {
        router.resolve(method, example(path)).name
        for method, path, _ in documented_endpoints()
    }
    refusals = {"quit_refused"}
    assert {route.name for route in router.routes} - refusals == answered


def test_every_own_metric_is_documented_as_it_is() -> None:
    documented = [
        (name, type_, frozenset(code_words(labels)))
        for cell, type_, labels, _ in table("api.md", "## The relay's own metrics")
        for name in code_words(cell)
    ]
    own = [(f.name, f.type.name.lower(), frozenset(f.labels)) for f in OWN_FAMILIES]
    assert sorted(documented, key=str) == sorted(own, key=str)


def test_the_reasons_of_errors_are_documented() -> None:
    heading = "Reasons of `pushrelay_pushes_rejected_total`"
    documented = {
        word for row in table("api.md", heading) for word in code_words(row[0])
    }
    own = fixed_reasons(PushrelayError)
    assert RequestTimeout.reason in own
    assert documented == own | reasons_of_inconsistency()


def fixed_reasons(error: type[PushrelayError]) -> set[str]:
    """Return the reasons that `error` and its subclasses have by their class."""
    own = error.__dict__.get("reason")
    below = [fixed_reasons(kind) for kind in error.__subclasses__()]
    return set().union(*below) | ({own} if isinstance(own, str) else set())


def reasons_of_inconsistency() -> set[str]:
    """Return the reasons that are given where a push is found inconsistent."""
    given = re.compile(r'findings\.add\(\s*"(\w+)"')
    sources = [path.read_text() for path in (ROOT / "pushrelay").rglob("*.py")]
    reasons = {reason for source in sources for reason in given.findall(source)}
    assert {"timestamps", "type"} <= reasons
    return reasons


def test_the_members_of_problem_documents_are_documented() -> None:
    heading = "A problem has a `reason` and a `detail`"
    told = {word for row in table("api.md", heading) for word in code_words(row[0])}
    assert told | {"reason", "detail"} == set(MEMBERS)
    whole = {row[0]: row[1] for row in table("api.md", "### Errors as JSON")}
    document = problem_of(LimitExceeded("series", ""))
    assert set(document) - {"status", "type", "title"} <= {
        word for cell in whole for word in code_words(cell)
    }
    used = re.findall(r"HTTPStatus\.(\w+)", inspect.getsource(gateway))
    assert used
    assert {status.lower() for status in used} <= set(code_words(whole["`reason`"]))


def heredoc(page: str, heading: str) -> tuple[str, str, str]:
    """Return the command of the first example below `heading`, what it is given, and
    what is shown of its output."""
    _, _, text = (DOCS / page).read_text().partition(heading)
    found = re.search(
        r"```sh\n(.*) <<END\n(.*?)END\n```\n\n```(?:json|text)\n(.*?)```",
        text,
        re.DOTALL,
    )
    assert found, f"{page} has no example below {heading!r}"
    return found[1], found[2], found[3]


def test_the_example_of_an_error_is_what_the_relay_answers(
    start_relay: StartRelay,
) -> None:
    command, body, shown = heredoc("api.md", "### Errors as JSON")
    accept = re.findall(r"-H 'Accept: (.*?)'", command)[0]
    path = re.findall(r"http://localhost:9091(\S+)", command)[0]
    response = start_relay().post(path, body, {"Accept": accept})
    assert json.loads(response.body) == json.loads(shown)


def test_the_example_of_a_run_is_what_the_relay_takes(
    start_relay: StartRelay,
) -> None:
    _, _, section = (DOCS / "api.md").read_text().partition("### Reporting a run\n")
    found = re.search(r"localhost:9091(\S+) -d '(.*?)'\n```", section, re.DOTALL)
    assert found
    now = time.time()
    times = {"started_at": now - 1, "finished_at": now}
    response = start_relay().put(found[1], json.dumps(json.loads(found[2]) | times))
    (shown,) = re.findall(r"```json\n(.*?)```", section.partition("\n### ")[0], re.S)
    assert json.loads(response.body) == json.loads(shown)


def test_the_example_of_lint_is_what_it_prints() -> None:
    command, body, shown = heredoc("cli.md", "## `pushrelay lint`")
    arguments = command.split()[1:]
    assert CliRunner().invoke(cli, arguments, input=body).output == shown


def test_every_option_of_lint_is_documented() -> None:
    documented = {
        word for row in table("cli.md", "Its options:") for word in code_words(row[0])
    }
    own = {option.opts[0] for option in lint.params if isinstance(option, click.Option)}
    assert documented == own


def commands(
    group: click.Group, path: str = "pushrelay"
) -> Iterator[tuple[str, click.Command]]:
    """Yield all commands below `group` with what one types to call them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def flags_of(command: click.Command) -> set[str]:
    """Return the flags of `command` as one writes them."""
    options = [o for o in command.params if isinstance(o, click.Option)]
    return {name for o in options for name in (*o.opts, *o.secondary_opts)}


@pytest.mark.parametrize(
    ("typed", "command"), [pytest.param(*found, id=found[0]) for found in commands(cli)]
)
def test_every_command_is_documented_with_its_options(
    typed: str, command: click.Command
) -> None:
    _, found, section = (DOCS / "cli.md").read_text().partition(f"\n## `{typed}`\n")
    assert found, f"cli.md has no section {typed}"
    section = section.partition("\n## ")[0]
    documented = set(re.findall(r"--[a-z][a-z0-9.-]*[a-z0-9]", section))
    if command is not serve:
        # Whose flags have a page of their own.
        options = [o for o in command.params if isinstance(o, click.Option)]
        assert {option.opts[0] for option in options} <= documented
    assert documented <= flags_of(command) | flags_of(serve)


@pytest.mark.parametrize(
    "command", [pytest.param(found[1], id=found[0]) for found in commands(cli)]
)
def test_every_command_and_option_has_help(command: click.Command) -> None:
    assert command.help
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help, option.name


def test_every_flag_that_is_mentioned_anywhere_exists() -> None:
    known = flags_of(serve) | OF_OTHERS
    for page in PAGES:
        for flag in re.findall(
            r"--(?:no-)?[a-z]+\.[a-z0-9.-]*[a-z0-9]", page.read_text()
        ):
            assert flag in known, f"{page.name}: {flag}"


def test_every_key_of_a_job_rule_is_documented() -> None:
    rows = table("configuration.md", "## The file of job rules")
    documented = {word for key, _ in rows for word in code_words(key)}
    own = {field.name for field in fields(JobRule)} - {"selector", "expectation"}
    of_runs = {field.name for field in fields(Expectation)}
    assert documented == own | {"match"} | of_runs
    limits = set(code_words(rows[-1][1])) - {"--limit.*"}
    assert limits == {field.name for field in fields(JobLimits)}


def test_every_push_mode_is_documented_and_may_be_asked_for() -> None:
    modes = [mode.value for mode in Mode]
    assert [row[0] for row in table("api.md", "### Modes")] == modes
    of_command = table("cli.md", "| let the relay judge the push and change nothing |")
    assert [code_words(row[0]) for row in of_command] == [[mode] for mode in modes]
    keys = table("configuration.md", "## The file of job rules")
    [meaning] = [meaning for key, meaning in keys if key == "`mode`"]
    assert code_words(meaning)[:-1] == ["POST", *modes[1:]]
    [asked] = [option for option in push.params if option.name == "mode"]
    assert isinstance(asked.type, click.Choice)
    assert list(asked.type.choices) == modes


def test_every_word_of_an_expectation_is_explained() -> None:
    rows = table("configuration.md", "### What is expected of runs")
    documented = [word for key, _ in rows for word in code_words(key)]
    assert sorted(documented) == sorted(field.name for field in fields(Expectation))


def test_the_examples_of_job_rules_have_rules() -> None:
    page = (DOCS / "configuration.md").read_text()
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    files = [text for text in examples if "[[jobs]]" in text]
    rules = [parse_rules(text, "configuration.md") for text in files]
    assert [len(each) for each in rules] == [2, 1, 3]
    assert list(Policies(rules=rules[2]).named_jobs()) == ["nightly-report", "backup"]


def test_the_examples_of_selectors_are_selectors() -> None:
    page = (DOCS / "configuration.md").read_text()
    section = page.partition("### Selectors")[2].partition("\n## ")[0]
    for example in re.findall(r"`(\{[^`]*\}|\w+=\"[^`]*)`", section):
        parse_selector(example)
    (match,) = re.findall(r"`(match = .*?)`", section)
    (rule,) = parse_rules(f"[[jobs]]\n{match}", "configuration.md").rules
    assert rule.selector.matches({"job": "db1"})


def test_the_examples_of_freshness_are_job_rules() -> None:
    page = (DOCS / "freshness.md").read_text()
    examples = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert [len(parse_rules(text, "freshness.md")) for text in examples] == [1, 1]


@pytest.mark.parametrize("name", ["exec.md", "freshness.md", "runs.md"])
def test_every_numbered_sentence_has_a_test(name: str) -> None:
    page = (DOCS / name).read_text()
    numbers = [int(number) for number in re.findall(r"^(\d+)\. ", page, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))
    sources = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    notes = re.findall(rf"^# {name}: (.*)$", "\n".join(sources), re.MULTILINE)
    assert {int(number) for note in notes for number in note.split(", ")} == {*numbers}
