"""Random requests that change groups: what threads send, and what it should do.

A history follows from its seed alone, whatever is answered. It has rounds; in each,
every thread has requests of its own. All samples of a push have one value, so that half
of a push can be told from all of it.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from compat.metric_messages import CONTENT_TYPE, delimited
from compat.metric_messages import family as message_of

from pushrelay.grouping_key import GroupingKey

THREADS = 4
ROUND = 200
"""Requests of all threads in one round."""

Series = tuple[str, tuple[tuple[str, str], ...], str]
"""Name of a sample, its sorted labels, and its value as Python prints it."""

Families = dict[str, frozenset[Series]]

STEADY = {
    "steady_gauge": "gauge",
    "steady_total": "counter",
    "steady_plain": "untyped",
    "steady_seconds": "summary",
    "steady_bytes": "histogram",
    "steady.größe": "gauge",
    "process_open_fds": "gauge",
}
"""Families that always have the same type: pushes of nothing else are accepted."""

CONTESTED = ("x", "y", "Z:z", "x_count", "jobs.done", "steady", "push_time_seconds")
PLAIN = ("gauge", "counter", "untyped")
TYPES = (*PLAIN, "summary", "histogram", "gauge_histogram")
NUMBERS = {"counter": 0, "gauge": 1, "summary": 2, "untyped": 3, "histogram": 4}
HELPS = ("", "", "One text.", "Another text.", 'With \\ and "quotes" %s.', "Größe")
INNOCENT = ((), (("l", "1"),), (("l", "2"),), (("l", "1"), ("m", "é%s")))
USUAL = tuple((("l", value),) for value in ("1", "2", "é%s", 'a"\\\n', "", "%"))
MIXED = ((), (("j", "5"),), (("l", "5"),), (("b", ""),), (("zz", "5"), ("j", "")))
"""Which of these comes first depends on the labels of the group."""

LABELS = (
    *INNOCENT,
    (("m", 'back\\slash "and"\nline'),),
    (("k.ü", "1"),),
    (("zone", "1"),),
    (("zone", "2"),),
    (("instance", "i"),),
    (("instance", ""),),
    (("job", "b"), ("l", "3")),
)
SHARED_KEYS: tuple[dict[str, str], ...] = (
    {"job": "a"},
    {"job": "a", "instance": ""},
    {"job": "a", "instance": "i"},
    {"job": "a", "zone": "1"},
    {"job": "a", "zone": "1", "instance": "i"},
    {"job": "a", "zone": "2"},
    {"job": "a", "k.ü": "1"},
    {"job": "b"},
    {"job": "b", "l": "3"},
    {"job": 'b/é🦆"\\\n', "m": "%s%d"},
    {"job": "\x01\x00", "zone": ""},
    {"job": "Ω", "l": "1", "m": "é%s"},
)
OWN_KEYS: tuple[dict[str, str], ...] = (
    {},
    {"instance": "i"},
    {"instance": "", "zone": "a b/c"},
    {"k.ü": "é"},
    {"a": "%s", "zone": '"\\\n'},
    {},
)
"""The labels beside the job of the groups that each thread has for itself. The last of
them is only replaced and deleted, never updated."""

SPELLINGS = ("{}", "{}.0", "{}e0", "+{}", "0{}", "{}.00e+00")
BAD_BODIES = (b"x\n", b"x 1", b"x 1_0\n", b'x{l="1} 1\n', b"\xff 1\n", b"x 1e999\n")
BOOKED_BODIES = (
    b"x 1 1\n",
    b"x 1\nx 2\n",
    b"pushrelay_groups 1\n",
    b'# TYPE x summary\nx_sum{l="1"} 1\nx_sum{l="2"} 1 5\n',
)
ALIKE_LABELS = b'{"x","k.z"="1","k_z"="2"} 1\n'


class Verdict(Enum):
    """What must become of a request; SOMETHING: that depends on others."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    SOMETHING = "something"


@dataclass(frozen=True)
class Operation:
    """One request.

    owned: the job of the group if no other thread writes to it. families: what a push
    gives the group if it is accepted. relay: to which of several it goes.
    """

    method: str
    target: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    owned: str | None = None
    families: Families = field(default_factory=dict)
    verdict: Verdict = Verdict.ACCEPTED
    relay: int = 0

    @property
    def is_wipe(self) -> bool:
        return self.target.endswith("/wipe")


Round = list[list[Operation]]


def rounds_of(seed: int, operations: int) -> Iterator[Round]:
    """Yield the rounds of the history `seed` with so many operations, about."""
    pushers = [_Pusher(seed, thread) for thread in range(THREADS)]
    for number in range(operations // ROUND):
        round_ = [[p.next() for _ in range(ROUND // THREADS)] for p in pushers]
        if number % 4 == 3:
            own = round_[number % THREADS]
            own[number % len(own)] = Operation("PUT", "/api/v1/admin/wipe")
        yield round_


@dataclass(frozen=True)
class _Family:
    """What is pushed of a family but for the value."""

    name: str
    type: str
    help: str
    labels: tuple[tuple[tuple[str, str], ...], ...]
    bounds: tuple[str, ...] = ()
    native: bool = False


@dataclass(frozen=True)
class _Kind:
    """What is pushed but for the value."""

    families: tuple[_Family, ...]
    is_protobuf: bool
    is_gzipped: bool
    spelling: int

    @property
    def is_innocent(self) -> bool:
        """Whether nothing can be wrong with it in a group of one's own."""
        return all(
            family.name in STEADY and set(family.labels) <= _HARMLESS
            for family in self.families
        )


_MANY = tuple((("l", f"{number:02}".ljust(170, "-")),) for number in range(100))
"""As many bytes as a relay does not read on its event loop."""


_HARMLESS = {*INNOCENT, *USUAL, *MIXED, *_MANY}


class _Pusher:
    """One thread's share of the history `seed`."""

    def __init__(self, seed: int, thread: int) -> None:
        self._random = random.Random(f"{seed}/{thread}")
        self._thread = thread
        self._value = thread
        self._kinds: dict[str, _Kind] = {}

    def next(self) -> Operation:
        """Return the next request."""
        chance = self._random
        number = chance.randrange(len(OWN_KEYS))
        key, owned = chance.choice(SHARED_KEYS), None
        if chance.random() < 0.6:
            owned = f"own-{self._thread}-{number}"
            key = {"job": owned, **OWN_KEYS[number]}
        target = f"/metrics/{GroupingKey.of(key).path}"
        relay = chance.randrange(2)
        replaces = number == len(OWN_KEYS) - 1 or chance.random() < 0.6
        method = "PUT" if replaces else "POST"
        fate = chance.random()
        if fate < 0.1:
            return Operation("DELETE", target, owned=owned, relay=relay)
        if fate < 0.2:
            return self._refused(method, target, owned, relay)
        kind = self._some_kind(target)
        body, value = self._written(kind)
        headers = {"Content-Type": CONTENT_TYPE} if kind.is_protobuf else {}
        if kind.is_gzipped:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body)
        is_sure = owned is not None and kind.is_innocent
        return Operation(
            method,
            target,
            body,
            headers,
            owned,
            _expected(kind, value, key),
            Verdict.ACCEPTED if is_sure else Verdict.SOMETHING,
            relay,
        )

    def _refused(
        self, method: str, target: str, owned: str | None, relay: int
    ) -> Operation:
        body = self._random.choice((*BAD_BODIES, *BOOKED_BODIES, ALIKE_LABELS))
        headers = self._random.choice(
            ({}, {}, {}, {"Content-Encoding": "gzip"}, {"Content-Type": CONTENT_TYPE})
        )
        verdict = Verdict.REFUSED
        return Operation(
            method, target, body, headers, owned, verdict=verdict, relay=relay
        )

    def _some_kind(self, target: str) -> _Kind:
        """Return a kind of push, mostly the one that the thread sent there last."""
        chance = self._random
        kind = self._kinds.get(target)
        if kind is None or chance.random() < 0.06:
            kind = self._kind()
        elif chance.random() < 0.06:
            kind = chance.choice(list(self._kinds.values()))
        self._kinds[target] = kind
        return kind

    def _kind(self) -> _Kind:
        chance = self._random
        names = chance.sample(tuple(STEADY), chance.randint(0, 5))
        if chance.random() < 0.4:
            names += chance.sample(CONTESTED, chance.randint(1, 2))
        chance.shuffle(names)
        is_protobuf = chance.random() < 0.2
        # The relay reads these by a template when they come again.
        is_usual = not is_protobuf and chance.random() < 0.7
        if is_usual:
            names = [n for n in names if "." not in n and not n.startswith("push_")]
        families = tuple(self._family(name, is_protobuf, is_usual) for name in names)
        return _Kind(
            families, is_protobuf, chance.random() < 0.2, chance.randrange(10**6)
        )

    def _family(self, name: str, is_protobuf: bool, is_usual: bool) -> _Family:
        chance = self._random
        types = TYPES if is_protobuf else TYPES[:-1]
        type_ = STEADY.get(name) or chance.choice(types)
        pool = LABELS if chance.random() < 0.3 else INNOCENT
        if is_usual:
            pool = chance.choice((USUAL, pool[:1], USUAL, pool[:1], MIXED))
        labels = tuple(chance.sample(pool, chance.randint(1, min(4, len(pool)))))
        if chance.random() < 0.01 and type_ in PLAIN:
            labels = _MANY
        bounds: tuple[str, ...] = ()
        if type_ == "summary":
            bounds = ("0.5", "0.99")[: chance.randrange(3)]
        elif "histogram" in type_:
            bounds = ("0.1", "2.5", "+Inf")[chance.randrange(3) :]
        native = is_protobuf and type_ == "histogram" and chance.random() < 0.5
        return _Family(name, type_, chance.choice(HELPS), labels, bounds, native)

    def _written(self, kind: _Kind) -> tuple[bytes, str]:
        """Return a body and the value that is in it."""
        self._value += THREADS
        value = str(self._value)
        plain = all(f.type in PLAIN for f in kind.families)
        if plain and self._random.random() < 0.1:
            value = self._random.choice(("NaN", "-0", "+Inf", "0.25", "1e21", "-7.5"))
        if kind.is_protobuf:
            return delimited(*[_message(f, value) for f in kind.families]), value
        return _text(kind, value).encode(), value


def _text(kind: _Kind, value: str) -> str:
    """Return a body in the text format; a value is spelled in several ways."""
    style = random.Random(kind.spelling)
    lines = []
    for family in kind.families:
        if kind.spelling % 5 == 0:
            lines.append(f"# a comment {style.randrange(10)}")
        quoted = _quoted(family.name) if "." in family.name else family.name
        if family.help:
            text = family.help.replace("\\", r"\\").replace("\n", r"\n")
            lines.append(f"# HELP {quoted} {text}")
        lines.append(f"# TYPE {quoted} {family.type}")
        for suffix, labels in _lines(family):
            spelling = style.choice(SPELLINGS) if value.isdigit() else "{}"
            series = _series(family.name + suffix, labels)
            blanks = style.choice((" ", "  ", "\t")) if kind.spelling % 4 == 0 else " "
            lines.append(f"{series}{blanks}{spelling.format(value)}")
    return "".join(f"{line}\n" for line in lines)


def _lines(family: _Family) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """Yield the suffix and labels of each sample, without those of the group."""
    for labels in family.labels:
        if family.type in PLAIN:
            yield "", labels
            continue
        is_summary = family.type == "summary"
        name, suffix = ("quantile", "") if is_summary else ("le", "_bucket")
        for bound in family.bounds:
            yield suffix, (*labels, (name, bound))
        yield "_sum", labels
        yield "_count", labels


def _series(name: str, labels: tuple[tuple[str, str], ...]) -> str:
    pairs = [f"{_label_name(name)}={_quoted(value)}" for name, value in labels]
    if "." in name:
        return "{" + ",".join([_quoted(name), *pairs]) + "}"
    return f"{name}{{{','.join(pairs)}}}" if pairs else name


def _label_name(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else _quoted(name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
    return f'"{escaped}"'


def _message(family: _Family, value: str) -> Any:
    """Return a protobuf message."""
    if family.type == "gauge_histogram":
        number, field_name = 5, "histogram"
    else:
        number, field_name = NUMBERS[family.type], family.type
    content: dict[str, Any] = {"value": float(value)}
    if field_name in ("summary", "histogram"):
        content = {"sample_count": int(value), "sample_sum": float(value)}
        if family.native:
            span = {"offset": 0, "length": 1}
            content |= {"positive_span": [span], "positive_delta": [int(value)]}
            content |= {"schema": 0, "zero_threshold": 1e-128}
        elif field_name == "summary":
            content["quantile"] = [
                {"quantile": float(bound), "value": float(value)}
                for bound in family.bounds
            ]
        else:
            content["bucket"] = [
                {"upper_bound": float(bound), "cumulative_count": int(value)}
                for bound in family.bounds
            ]
    metrics = [
        {
            "label": [{"name": n, "value": v} for n, v in labels],
            field_name: content,
        }
        for labels in family.labels
    ]
    return message_of(family.name, number, *metrics, help=family.help)


def _expected(kind: _Kind, value: str, key: dict[str, str]) -> Families:
    """Return what a scrape shows of a push to the group `key`."""
    shown = shown_value(value)
    found: Families = {}
    for family in kind.families:
        if family.name == "push_time_seconds":
            continue  # the relay's own
        samples = list(_lines(family))
        if "histogram" in family.type:
            if family.native:
                samples = [s for s in samples if s[0] != "_bucket"]
            infinite = [(*labels, ("le", "+Inf")) for labels in family.labels]
            samples += [("_bucket", labels) for labels in infinite]
        found[family.name] = frozenset(
            (
                family.name + suffix,
                tuple(sorted({"instance": "", **dict(labels), **key}.items())),
                shown,
            )
            for suffix, labels in samples
        )
    return found


def shown_value(text: str) -> str:
    """Return one text for all spellings of a number."""
    return repr(float(text) + 0.0)
