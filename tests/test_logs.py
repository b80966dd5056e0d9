from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from pushrelay.logs import JsonFormatter, LogfmtFormatter, configure_logging

AT = 1_700_000_000.25


def record(
    message: str, *arguments: object, level: int = logging.INFO, **fields: str
) -> logging.LogRecord:
    made = logging.LogRecord("test.source", level, "", 0, message, arguments, None)
    made.created = AT
    if fields:
        made.fields = fields
    return made


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield root
    root.handlers, root.level = handlers, level


def test_logfmt_is_pairs() -> None:
    line = LogfmtFormatter().format(record("pushed %d", 5, level=logging.WARNING))
    assert line == (
        'time=2023-11-14T22:13:20.250Z level=warn source=test.source msg="pushed 5"'
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("", '""'),
        ("two words", '"two words"'),
        ("a=b", '"a=b"'),
        ('say "no"', r'"say \"no\""'),
        ("back\\slash", r'"back\\slash"'),
        ("line\nend level=error", r'"line\nend level=error"'),
        ("\x1b[31m", r'"\u001b[31m"'),
        ("\u2028", r'"\u2028"'),
        ("é", "é"),
        ("\udcff", r'"\udcff"'),
    ],
)
def test_logfmt_quotes_what_it_must(value: str, shown: str) -> None:
    line = LogfmtFormatter().format(record("m", path=value))
    assert line.split(" path=")[1] == shown
    line.encode()


def test_json_is_an_object_a_line() -> None:
    line = JsonFormatter().format(record("two\nlines", path="\udcff", client="::1"))
    assert "\n" not in line
    line.encode()
    assert json.loads(line) == {
        "time": "2023-11-14T22:13:20.250Z",
        "level": "info",
        "source": "test.source",
        "msg": "two\nlines",
        "path": "\udcff",
        "client": "::1",
    }


@pytest.mark.parametrize("formatter", [LogfmtFormatter(), JsonFormatter()])
def test_a_traceback_stays_in_its_line(formatter: logging.Formatter) -> None:
    made = record("failed", level=logging.ERROR)
    try:
        raise ValueError("the reason")
    except ValueError:
        made.exc_info = sys.exc_info()
    line = formatter.format(made)
    assert "\n" not in line
    assert "ValueError: the reason" in line


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("debug", ["debug", "info", "warn", "error"]),
        ("info", ["info", "warn", "error"]),
        ("warn", ["warn", "error"]),
        ("error", ["error"]),
    ],
)
def test_levels_below_the_chosen_one_are_silent(
    root: logging.Logger, capsys: pytest.CaptureFixture[str], level: str, shown: list
) -> None:
    configure_logging(level, "json")
    log = logging.getLogger("test.levels")
    log.debug("m")
    log.info("m")
    log.warning("m")
    log.error("m")
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [json.loads(line) for line in captured.err.splitlines()]
    assert [line["level"] for line in lines] == shown


def test_the_format_is_logfmt_or_json(
    root: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("info", "logfmt")
    logging.getLogger("test.format").info("m")
    assert capsys.readouterr().err.endswith("level=info source=test.format msg=m\n")
    assert len(root.handlers) == 1
