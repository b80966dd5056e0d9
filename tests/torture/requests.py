"""What clients ask for: requests, and what they mean for a cell."""

from __future__ import annotations

import json
import random
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field

from torture.history import Contents, Kind
from torture.page import EVERYBODY

SUMS = 2
CONTESTED = tuple(f"contested_{number}" for number in range(4))
CONTESTED_TYPES = ("gauge", "counter")

_FAMILIES = {
    "torture_state": "gauge",
    "torture_done_total": "counter",
    "torture_seconds": "summary",
    "torture_bytes": "histogram",
}
_PARTS = 4


@dataclass(frozen=True)
class Request:
    """A request, and what it means. accepted: the status that says that it is done."""

    kind: Kind
    cell: str
    method: str
    target: str
    body: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    pushed: Contents = ()
    accepted: int = 200
    id: str = ""


def put(instance: str, value: int) -> Request:
    """Replace all of a group; every sample has the value."""
    return _push(Kind.PUT, "PUT", instance, value, tuple(_FAMILIES))


def post(instance: str, value: int, chance: random.Random) -> Request:
    """Replace some of the families of a group."""
    names = tuple(_FAMILIES)
    chosen = chance.sample(names, chance.randint(1, len(names) - 1))
    return _push(Kind.POST, "POST", instance, value, chosen)


def delete(instance: str, job: str = "groups") -> Request:
    return Request(
        Kind.DELETE, f"{job} {instance}", "DELETE", _target(job, instance), accepted=202
    )


def contest(instance: str, value: int, chance: random.Random) -> Request:
    """Replace a group by one family, of which others may want another type."""
    name, type_ = chance.choice(CONTESTED), chance.choice(CONTESTED_TYPES)
    return Request(
        Kind.CONTEST,
        f"contests {instance}",
        "PUT",
        _target("contests", instance),
        f"# TYPE {name} {type_}\n{name} {value}\n",
        pushed=((f"{name} {type_}", str(value)),),
    )


def add(client: str, amount: int, chance: random.Random) -> Request:
    """Add to the share of a client in a sum, and to the sum."""
    group = str(chance.randrange(SUMS))
    types = {
        "torture_added_total": "counter",
        "torture_added_seconds": "summary",
        "torture_added_bytes": "histogram",
    }
    body = "".join(
        f"# TYPE {name} {type_}\n"
        + "".join(
            _samples(name, type_, f'client="{who}"', amount)
            for who in (client, EVERYBODY)
        )
        for name, type_ in types.items()
    )
    return Request(
        Kind.ADD,
        f"sums {group} {client}",
        "POST",
        f"{_target('sums', group)}?mode=add",
        body,
        {"Idempotency-Key": str(uuid.uuid4())},
        _contents(types, types, amount),
    )


def run(client: str) -> tuple[Request, Request]:
    """Report the start of a run, and its finish."""
    id_, now = str(uuid.uuid4()), round(time.time() - 1, 3)
    started = {
        "job": "runs",
        "labels": {"instance": client},
        "state": "started",
        "started_at": now,
    }
    finished = started | {
        "state": "finished",
        "finished_at": now + 0.5,
        "outcome": "success",
    }
    counted = (("pushrelay_job_runs_total counter", "1"),)
    cell, target = f"runs {client}", f"/api/v1/runs/{id_}"
    return (
        Request(Kind.START, cell, "PUT", target, json.dumps(started)),
        Request(
            Kind.FINISH, cell, "PUT", target, json.dumps(finished), {}, counted, id=id_
        ),
    )


def _push(
    kind: Kind, method: str, instance: str, value: int, names: Sequence[str]
) -> Request:
    parts = [f'part="{number}"' for number in range(_PARTS)]
    body = ""
    for name in names:
        type_ = _FAMILIES[name]
        labels = parts if type_ in ("gauge", "counter") else [""]
        body += f"# TYPE {name} {type_}\n"
        body += "".join(_samples(name, type_, each, value) for each in labels)
    return Request(
        kind,
        f"groups {instance}",
        method,
        _target("groups", instance),
        body,
        pushed=_contents(_FAMILIES, names, value),
    )


def _contents(
    types: dict[str, str], names: Sequence[str] | dict[str, str], value: int
) -> Contents:
    return tuple(sorted((f"{name} {types[name]}", str(value)) for name in names))


def _samples(name: str, type_: str, labels: str, value: int) -> str:
    if type_ in ("gauge", "counter"):
        return f"{name}{{{labels}}} {value}\n"
    text = f"{name}_sum{{{labels}}} {value}\n{name}_count{{{labels}}} {value}\n"
    if type_ == "histogram":
        more = f"{labels}," if labels else ""
        text += f'{name}_bucket{{{more}le="+Inf"}} {value}\n'
    return text


def _target(job: str, instance: str) -> str:
    return f"/metrics/job/{job}/instance/{instance}"
