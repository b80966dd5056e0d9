from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushrelay.toml_lines import TomlLines

TEXT = '''\
# [[jobs]]
top = 1
a.b = 2

[[jobs]]
match = "x" # match = 3
text = """
[[jobs]]
match = "
\\"""
match = 3"""""
other = \'\'\'
[jobs.limits]
\'''
 [ jobs . limits ]
  series = [
    1, # ]
  ]
"in.quotes" = 1
dotted . key=1

[[ jobs ]]
match = 'a"b'
limits = { series = 1 }
[jobs.deep.more]
x = 1
[other]
x = 2
'''

PLACES = [
    ("", 1),
    ("top", 2),
    ("a.b", 3),
    ("a", 3),
    ("jobs", 5),
    ("jobs[1]", 5),
    ("jobs[1].match", 6),
    ("jobs[1].text", 7),
    ("jobs[1].other", 12),
    ("jobs[1].limits", 15),
    ("jobs[1].limits.series", 16),
    ("jobs[1].limits.dotted.key", 20),
    ("jobs[2]", 22),
    ("jobs[2].match", 23),
    ("jobs[2].limits", 24),
    ("jobs[2].deep", 25),
    ("jobs[2].deep.more", 25),
    ("jobs[2].deep.more.x", 26),
    ("other", 27),
    ("other.x", 28),
]

# A path that is not found, and what is around it.
AROUND = [
    ("jobs[2].limits.series", "jobs[2].limits"),
    ("jobs[1].limits.in.quotes", "jobs[1].limits"),
    ("jobs[1].nothing", "jobs[1]"),
    ("top[3].x", "top"),
    ("nothing.x", ""),
]

# Statements whose path is the key `k` and a number, and what may stand between them.
STATEMENTS = [
    "k{} = 1",
    ' k{}="[[x]]"',
    "k{} = '''\nk1 = 2\n'''",
    'k{} = """\n[x]\n"""',
    'k{} = """a\\"""\nk1 = 2"""',
    "k{} = [\n1,\n'k1 = 2',\n]",
    "[k{}]\nx = 1\n[y{}]",
]
FILLERS = ["", "# k1 = 1", "  ", '# """', "# '''"]


def test_the_text_is_toml() -> None:
    assert len(tomllib.loads(TEXT)["jobs"]) == 2


@pytest.mark.parametrize(("path", "line"), PLACES)
def test_a_path_has_a_line(path: str, line: int) -> None:
    assert TomlLines(TEXT).of(path) == line


@pytest.mark.parametrize(("path", "around"), AROUND)
def test_what_is_not_found_is_where_it_would_be(path: str, around: str) -> None:
    lines = TomlLines(TEXT)
    assert lines.of(path) == lines.of(around)


@given(st.lists(st.tuples(st.sampled_from(FILLERS), st.sampled_from(STATEMENTS))))
def test_lines_are_counted_through_anything(parts: list[tuple[str, str]]) -> None:
    text, expected, table = "", [], ""
    for number, (filler, statement) in enumerate(parts, 2):
        text += f"{filler}\n"
        is_table = statement.startswith("[")
        path = f"k{number}" if is_table else f"{table}k{number}"
        expected.append((path, text.count("\n") + 1))
        text += statement.format(number, number) + "\n"
        table = f"y{number}." if is_table else table
    tomllib.loads(text)
    lines = TomlLines(text)
    assert [(path, lines.of(path)) for path, _ in expected] == expected
