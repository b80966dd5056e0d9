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

from compat.metric_messages import CONTENT_TYPE
from pushed_kinds import (
    PLAIN,
    TYPES,
    Families,
    PushedFamily,
    PushedKind,
    body_of,
    families_of,
)

from pushrelay.grouping_key import GroupingKey

STALE_AFTER = "X-Pushrelay-Stale-After"
THREADS = 4
ROUND = 200
"""Requests of all threads in one round."""

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
HELPS = ("", "", "One text.", "Another text.", 'With \\ and "quotes" %s.', "Größe")
INNOCENT = ((), (("l", "1"),), (("l", "2"),), (("l", "1"), ("m", "é%s")))
USUAL = tuple((("l", value),) for value in ("1", "2", "é%s", 'a"\\\n', "", "%"))
MIXED = ((), (("j", "5"),), (("l", "5"),), (("b", ""),), (("zz", "5"), ("j", "")))
"""Which of these comes first depends on the labels of the group."""

MANY = tuple((("l", f"{number:02}".ljust(170, "-")),) for number in range(100))
"""As many bytes as a relay does not read on its event loop."""

HARMLESS = {*INNOCENT, *USUAL, *MIXED, *MANY}
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
    def is_stale(self) -> bool:
        """Whether what it pushes goes stale at once, nearly."""
        return self.headers.get(STALE_AFTER) == "1ms"

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


class _Pusher:
    """One thread's share of the history `seed`."""

    def __init__(self, seed: int, thread: int) -> None:
        self._random = random.Random(f"{seed}/{thread}")
        self._thread = thread
        self._value = thread
        self._kinds: dict[str, PushedKind] = {}

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
        if chance.random() < 0.15:
            headers[STALE_AFTER] = chance.choice(("1ms", "1h"))
        verdict = Verdict.SOMETHING
        if value.startswith("-") and value != "-0" and not kind.is_plain:
            verdict = Verdict.REFUSED
        elif owned is not None and _is_innocent(kind):
            verdict = Verdict.ACCEPTED
        return Operation(
            method,
            target,
            body,
            headers,
            owned,
            families_of(kind, value, key),
            verdict,
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

    def _some_kind(self, target: str) -> PushedKind:
        """Return a kind of push, mostly the one that the thread sent there last."""
        chance = self._random
        kind = self._kinds.get(target)
        if kind is None or chance.random() < 0.04:
            kind = self._kind()
        elif chance.random() < 0.04:
            kind = chance.choice(list(self._kinds.values()))
        self._kinds[target] = kind
        return kind

    def _kind(self) -> PushedKind:
        chance = self._random
        names = chance.sample(tuple(STEADY), chance.randint(0, 5))
        if chance.random() < 0.4:
            names += chance.sample(CONTESTED, chance.randint(1, 2))
        chance.shuffle(names)
        is_protobuf = chance.random() < 0.15
        # The relay reads these by a template when they come again.
        is_usual = not is_protobuf and chance.random() < 0.8
        if is_usual:
            names = [n for n in names if "." not in n and not n.startswith("push_")]
        families = tuple(self._family(name, is_protobuf, is_usual) for name in names)
        return PushedKind(
            families, is_protobuf, chance.random() < 0.2, chance.randrange(10**6)
        )

    def _family(self, name: str, is_protobuf: bool, is_usual: bool) -> PushedFamily:
        chance = self._random
        types = TYPES if is_protobuf else TYPES[:-1]
        type_ = STEADY.get(name) or chance.choice(types)
        pool = LABELS if chance.random() < 0.3 else INNOCENT
        if is_usual:
            pools = (USUAL, pool[:1], MIXED)
            pool = chance.choices(pools, (10, 10, 1))[0]
        labels = tuple(chance.sample(pool, chance.randint(1, min(4, len(pool)))))
        if chance.random() < 0.01 and type_ in PLAIN:
            labels = MANY
        bounds: tuple[str, ...] = ()
        if type_ == "summary":
            bounds = ("0.5", "0.99")[: chance.randrange(3)]
        elif "histogram" in type_:
            bounds = ("0.1", "2.5", "+Inf")[chance.randrange(3) :]
        native = is_protobuf and type_ == "histogram" and chance.random() < 0.5
        return PushedFamily(name, type_, chance.choice(HELPS), labels, bounds, native)

    def _written(self, kind: PushedKind) -> tuple[bytes, str]:
        """Return a body and the value that is in it."""
        self._value += THREADS
        value = str(self._value)
        if self._random.random() < 0.1:
            value = self._random.choice(kind.odd_values or (value,))
        return body_of(kind, value), value


def _is_innocent(kind: PushedKind) -> bool:
    """Whether nothing can be wrong with it in a group of one's own."""
    return all(
        family.name in STEADY and set(family.labels) <= HARMLESS
        for family in kind.families
    )
